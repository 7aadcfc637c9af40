"""What operators write for the CloudStack CPI: the words of BOSH's own where it has one."""

from __future__ import annotations

from typing import Any

from cpis.properties import object_schema

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}


def _said(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_ZONE = _said(_TEXT, "the zone, by name or id; an AZ's cloud properties name it")
_OFFERING = "the disk offering of the ephemeral disk, of custom size, by name or id"

OWN = object_schema(
    {
        "endpoint": _said(
            {"type": "string", "pattern": "^https?://[^/?#@]+/.+$"},
            "the API's URL, such as `https://cloud.example.com/client/api`",
        ),
        "api_key": _said(_TEXT, "the account's API key"),
        "secret_access_key": _said(_TEXT, "the account's secret key"),
        "default_zone": _said(_TEXT, "the zone of VMs and disks that name none"),
        "default_key_name": _said(_TEXT, "a key pair for VMs, beside the director's own key"),
        "default_disk_offering": _said(_TEXT, "the offering of disks that name none"),
        "default_ephemeral_disk_offering": _said(_TEXT, _OFFERING + ", for VMs that name none"),
        "force_expunge": _said(
            {"type": "boolean"},
            "frees a deleted VM's address at once (true); where the account may not expunge, set "
            "false, and give VMs dynamic networks",
        ),
    },
    required=("endpoint", "api_key", "secret_access_key"),
)

VM = object_schema(
    {
        "zone": _ZONE,
        "compute_offering": _said(_TEXT, "the size, by name or id"),
        "disk": _said({"type": "integer", "minimum": 0}, "MB of the ephemeral disk; 0 is none"),
        "ephemeral_disk_offering": _said(_TEXT, _OFFERING),
        "root_disk_gb": _said(
            {"type": "integer", "minimum": 1}, "GB of the root disk, if not the template's size"
        ),
        "key_name": _said(_TEXT, "a key pair, beside the director's own key"),
        "security_groups": _said(_TEXTS, "security groups by name, in zones that have them"),
        "affinity_groups": _said(_TEXTS, "affinity groups by name"),
    },
    required=("compute_offering",),
)

NETWORK = object_schema({"name": _said(_TEXT, "the guest network, by name or id")})

DISK = object_schema(
    {
        "disk_offering": _said(_TEXT, "the disk offering, by name or id"),
        "zone": _said(_TEXT, "the zone, for a disk made before its VM"),
    }
)

STEMCELL = object_schema(
    {"template": _said(_TEXT, "a template that is registered already, by name or id")}
)
"""A stemcell's properties of which the CPI makes use; others of BOSH's stemcells are ignored."""

TABLES = {
    "The CPI's own properties": OWN,
    "VMs: `vm_types`, `vm_extensions`, `azs`": VM,
    "Networks: manual and dynamic": NETWORK,
    "Disks: `disk_types`": DISK,
    "Stemcells": STEMCELL,
}
"""The tables of the README, by their headings."""

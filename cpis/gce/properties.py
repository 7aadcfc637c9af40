"""What operators write for the GCE CPI: the words of BOSH's Google CPI."""

from __future__ import annotations

from typing import Any

from cpis.properties import object_schema

_TEXT = {"type": "string", "minLength": 1}
_NAME = {"type": "string", "pattern": "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"}
_FLAG = {"type": "boolean"}
_GB = {"type": "integer", "minimum": 1}
_NAMES = {"type": "array", "items": _NAME}


def _said(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_ZONE = _said(_NAME, "the zone, such as `europe-west1-b`; an AZ's cloud properties name it")
_EXTERNAL = _said(_FLAG, "gives the VM an external address of Google's choice")
_FORWARD = _said(_FLAG, "lets the VM send packets that are not from its own address")
_TAGS = _said(_NAMES, "network tags, which firewall rules refer to")

OWN = object_schema(
    {
        "project": _said(_TEXT, "the id of the project that everything is made in"),
        "json_key": _said(
            {"type": ["string", "object"]},
            "the service account's key, as the JSON that Google gives; without it the account of "
            "the VM that the director runs on is used",
        ),
        "zone": _said(_NAME, "the zone of VMs and disks that name none"),
        "default_root_disk_size_gb": _said(_GB, "GB of a VM's root disk (the image's size)"),
        "default_root_disk_type": _said(_NAME, "type of a VM's root disk (`pd-standard`)"),
        "endpoint": _said(
            {"type": "string", "pattern": "^https?://[^/]+$"},
            "where Compute Engine's API is (`https://compute.googleapis.com`), for private access",
        ),
    },
    required=("project",),
)

VM = object_schema(
    {
        "zone": _ZONE,
        "machine_type": _said(_NAME, "the size, such as `e2-standard-2`; or `cpu` and `ram`"),
        "cpu": _said({"type": "integer", "minimum": 1}, "CPUs of a custom size"),
        "ram": _said({"type": "integer", "minimum": 256}, "MiB of a custom size's memory"),
        "root_disk_size_gb": _said(_GB, "GB of the root disk, which is the ephemeral disk too"),
        "root_disk_type": _said(_NAME, "type of the root disk, such as `pd-ssd`"),
        "automatic_restart": _said(_FLAG, "restarts the VM if its host fails (true)"),
        "on_host_maintenance": _said(
            {"enum": ["MIGRATE", "TERMINATE"]}, "what happens when its host is serviced"
        ),
        "preemptible": _said(_FLAG, "makes a cheap VM that Google may stop at any time"),
        "service_account": _said(_TEXT, "the account that programs on the VM act as"),
        "service_scopes": _said(
            {"type": "array", "items": _TEXT},
            "what that account may do there: scopes, in full or as their last word",
        ),
        "tags": _TAGS,
        "labels": _said(
            {"type": "object", "additionalProperties": {"type": "string"}}, "labels of the VM"
        ),
        "ephemeral_external_ip": _EXTERNAL,
        "ip_forwarding": _FORWARD,
    }
)

NETWORK = object_schema(
    {
        "network_name": _said(_NAME, "the VPC network (`default`)"),
        "subnetwork_name": _said(_NAME, "the subnetwork, in the region of the VM's zone"),
        "xpn_host_project_id": _said(_TEXT, "the project of a shared VPC network"),
        "ephemeral_external_ip": _EXTERNAL,
        "ip_forwarding": _FORWARD,
        "tags": _TAGS,
    }
)

DISK = object_schema(
    {
        "type": _said(_NAME, "the type of disk, such as `pd-ssd` (`pd-standard`)"),
        "zone": _said(_NAME, "the zone, for a disk made before its VM"),
    }
)

STEMCELL = object_schema(
    {
        "image_url": _said(_TEXT, "an image: its URL, or `projects/NAME/global/images/NAME`"),
        "image_family": _said(_NAME, "a family of images, of which the newest is taken"),
        "image_project": _said(_TEXT, "the family's project, such as `debian-cloud`"),
    }
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

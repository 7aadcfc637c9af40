"""What operators write for the OpenStack CPI, under the names of BOSH's own OpenStack CPI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cpis.contract import CloudError, Json
from cpis.properties import check_properties, object_schema

_TEXT = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_SECONDS = {"type": "number", "minimum": 1}
_GROUPS = {"type": "array", "items": _TEXT}


def _described(shape: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**shape, "description": description}


_CONNECTION = object_schema(
    {
        "ssl_verify_peer": _described(_FLAG, "whether certificates are verified; default true"),
        "ssl_ca_file": _described(_TEXT, "path of a file of CA certificates (PEM)"),
        "ca_cert": _described(_TEXT, "CA certificates themselves (PEM)"),
        "ssl_ca_cert": _described(_TEXT, "the same as `ca_cert`"),
        "connect_timeout": _described(_SECONDS, "seconds until a connection stands; default 10"),
        "read_timeout": _described(_SECONDS, "seconds an answer may take; default 60"),
        "write_timeout": _described(_SECONDS, "taken for compatibility"),
    }
)

CPI_SCHEMA = object_schema(
    {
        "auth_url": _described(_TEXT, "URL of Keystone, version 3: `https://host:5000/v3`"),
        "username": _described(_TEXT, "user name"),
        "api_key": _described(_TEXT, "the user's password"),
        "password": _described(_TEXT, "the same as `api_key`"),
        "project": _described(_TEXT, "project name"),
        "tenant": _described(_TEXT, "the same as `project`"),
        "project_id": _described(_TEXT, "project id, instead of its name"),
        "domain": _described(_TEXT, "domain of user and project; default `Default`"),
        "user_domain_name": _described(_TEXT, "domain of the user; default `domain`"),
        "project_domain_name": _described(_TEXT, "domain of the project; default `domain`"),
        "application_credential_id": _described(
            _TEXT, "id of an application credential, instead of user, password and project"
        ),
        "application_credential_secret": _described(_TEXT, "its secret"),
        "region": _described(_TEXT, "region; needed where the catalog has more than one"),
        "endpoint_type": _described(
            {"enum": ["publicURL", "internalURL", "adminURL", "public", "internal", "admin"]},
            "which endpoints of the catalog are used; default `publicURL`",
        ),
        "default_key_name": _described(_TEXT, "key pair of VMs that name none"),
        "default_security_groups": _described(
            _GROUPS, "names or ids, for VMs and networks that name none"
        ),
        "default_volume_type": _described(_TEXT, "volume type of disks that name none"),
        "human_readable_vm_names": _described(
            _FLAG, "name servers after their instances once metadata is set; default false"
        ),
        "boot_from_volume": _described(_FLAG, "root disks are volumes; default false"),
        "config_drive": _described(
            {"anyOf": [_FLAG, {"enum": ["cdrom", "disk"]}]},
            "VMs read user data from a config drive instead of the metadata service",
        ),
        "use_dhcp": _described(
            _FLAG, "false where subnets have no DHCP: turns the config drive on; default true"
        ),
        "enable_auto_anti_affinity": _described(
            _FLAG, "spread the VMs of an instance group over hosts where possible; default true"
        ),
        "ignore_server_availability_zone": _described(
            _FLAG, "do not put volumes into their VM's zone; default false"
        ),
        "stemcell_public_visibility": _described(
            _FLAG, "uploaded images are visible to all projects (needs rights); default false"
        ),
        "state_timeout": _described(
            _SECONDS, "seconds a server, volume or image may take to get ready; default 300"
        ),
        "wait_resource_poll_interval": _described(
            _SECONDS, "longest pause between two looks at a state, in seconds; default 5"
        ),
        "use_nova_networking": _described({"const": False}, "only false: networks are Neutron's"),
        "connection_options": {**_CONNECTION, "description": "TLS and timeouts, see below"},
        "vm": _described({"type": "object"}, "taken for compatibility"),
    },
    required=("auth_url",),
)

_BESIDE = ("registry", "agent", "blobstore", "nats", "ntp", "env", "debug")
"""What BOSH puts beside ``openstack``; none of it matters here."""

VM_SCHEMA = object_schema(
    {
        "instance_type": _described(_TEXT, "name or id of the flavor; required"),
        "availability_zone": _described(_TEXT, "availability zone; default: Nova's choice"),
        "security_groups": _described(
            _GROUPS, "names or ids; stronger than those of networks and of the CPI"
        ),
        "key_name": _described(_TEXT, "key pair; default `default_key_name`"),
        "scheduler_hints": _described(
            {"type": "object"},
            "hints for Nova's scheduler; `group` turns the automatic server group off",
        ),
        "root_disk": {
            **object_schema(
                {
                    "size": _described({"type": "integer", "minimum": 1}, "GiB"),
                    "type": _described(_TEXT, "volume type"),
                }
            ),
            "description": "`size` in GiB and `type` of the root volume; with `boot_from_volume`",
        },
        "boot_from_volume": _described(_FLAG, "the root disk is a volume; default: the CPI's"),
        "allowed_address_pairs": _described(
            {
                "anyOf": [
                    _TEXT,
                    {
                        "type": "array",
                        "items": {
                            "anyOf": [
                                _TEXT,
                                object_schema(
                                    {"ip_address": _TEXT, "mac_address": _TEXT},
                                    required=("ip_address",),
                                ),
                            ]
                        },
                    },
                ]
            },
            "further addresses its ports may use: an address, or a list of addresses or of "
            "`{ip_address, mac_address}`",
        ),
        "loadbalancer_pools": _described(
            {
                "type": "array",
                "items": object_schema(
                    {
                        "name": _described(_TEXT, "name of the pool"),
                        "port": _described(
                            {"type": "integer", "minimum": 1, "maximum": 65535}, "port of the VM"
                        ),
                    },
                    required=("name", "port"),
                ),
            },
            "Octavia pools the VM joins: a list of `{name, port}`",
        ),
        "metadata": _described(
            {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}},
            "further metadata of the server",
        ),
    },
    required=("instance_type",),
)

NETWORK_SCHEMA = object_schema(
    {
        "net_id": _described(_TEXT, "id of the Neutron network; required"),
        "security_groups": _described(_GROUPS, "names or ids, unless the VM names some"),
    },
    required=("net_id",),
)

VIP_SCHEMA = object_schema({})

DISK_SCHEMA = object_schema(
    {"type": _described(_TEXT, "volume type; default `default_volume_type`")}
)

TABLES = {
    "The CPI's own properties": CPI_SCHEMA,
    "VMs: `vm_types`, `vm_extensions`, `azs`": VM_SCHEMA,
    "Networks: manual and dynamic": NETWORK_SCHEMA,
    "Disks: `disk_types`": DISK_SCHEMA,
}
"""All properties, by what they are properties of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the APIs' certificates are verified; ``ca_text`` is PEM."""

    verify: bool = True
    ca_file: str | None = None
    ca_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who asks Keystone for a token; either an application credential or a user and a project."""

    user: str = ""
    password: str = field(default="", repr=False)
    project: str = ""
    project_id: str = ""
    user_domain: str = "Default"
    project_domain: str = "Default"
    application_id: str = ""
    application_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The CPI's properties, valid, with their defaults. Times in seconds."""

    auth_url: str
    credentials: Credentials
    tls: Tls = Tls()
    timeouts_s: tuple[float, float] = (10.0, 60.0)
    region: str | None = None
    interface: str = "public"
    key_name: str | None = None
    security_groups: tuple[str, ...] = ()
    volume_type: str | None = None
    readable_names: bool = False
    boot_from_volume: bool = False
    config_drive: bool = False
    spread: bool = True
    ignore_server_zone: bool = False
    public_images: bool = False
    state_timeout_s: float = 300.0
    longest_pause_s: float = 5.0


def read_settings(properties: Mapping[str, Any]) -> Settings:
    """Return the settings in the CPI's properties, flat or under ``openstack`` as BOSH has them.

    Raises CloudError for what is unknown, missing or wrong.
    """
    given = _flat(properties)
    check_properties("the OpenStack CPI", CPI_SCHEMA, given)
    connection: Mapping[str, Any] = given.get("connection_options") or {}
    options: dict[str, Any] = {
        "region": given.get("region"),
        "key_name": given.get("default_key_name"),
        "volume_type": given.get("default_volume_type"),
        "security_groups": tuple(given.get("default_security_groups") or ()),
        "readable_names": bool(given.get("human_readable_vm_names")),
        "boot_from_volume": bool(given.get("boot_from_volume")),
        "config_drive": bool(given.get("config_drive")) or given.get("use_dhcp") is False,
        "spread": given.get("enable_auto_anti_affinity") is not False,
        "ignore_server_zone": bool(given.get("ignore_server_availability_zone")),
        "public_images": bool(given.get("stemcell_public_visibility")),
        "state_timeout_s": float(given.get("state_timeout") or 300.0),
        "longest_pause_s": float(given.get("wait_resource_poll_interval") or 5.0),
        "interface": str(given.get("endpoint_type") or "public").removesuffix("URL"),
    }
    return Settings(
        auth_url=_keystone_url(given["auth_url"]),
        credentials=_credentials(given),
        tls=Tls(
            verify=connection.get("ssl_verify_peer") is not False,
            ca_file=connection.get("ssl_ca_file"),
            ca_text=connection.get("ca_cert") or connection.get("ssl_ca_cert"),
        ),
        timeouts_s=(
            float(connection.get("connect_timeout") or 10.0),
            float(connection.get("read_timeout") or 60.0),
        ),
        **options,
    )


def _flat(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    if "openstack" not in properties:
        return properties
    nested = properties["openstack"]
    if not isinstance(nested, Mapping):
        raise CloudError("the OpenStack CPI has a property 'openstack' that is not object")
    beside = object_schema({"openstack": {}, **{key: {} for key in _BESIDE}})
    check_properties("the OpenStack CPI", beside, properties)
    return nested


def _keystone_url(url: str) -> str:
    """Return Keystone's URL without the version, which libcloud adds."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CloudError(
            "the OpenStack CPI has a property 'auth_url' that is no URL",
            fix="use one like 'https://host:5000/v3'",
        )
    path = parts.path.rstrip("/")
    if path.endswith("/v2.0"):
        raise CloudError(
            "the OpenStack CPI has an 'auth_url' of Keystone version 2, which no longer exists",
            fix="use the URL of version 3: it ends in '/v3'",
        )
    return f"{parts.scheme}://{parts.netloc}{path.removesuffix('/v3').rstrip('/')}"


def _credentials(given: Mapping[str, Any]) -> Credentials:
    application = given.get("application_credential_id")
    if application:
        _require(given, ("application_credential_secret",))
        return Credentials(
            application_id=application, application_secret=given["application_credential_secret"]
        )
    domain = given.get("domain") or "Default"
    _require(given, ("username",), ("api_key", "password"), ("project", "tenant", "project_id"))
    return Credentials(
        user=given["username"],
        password=given.get("api_key") or given["password"],
        project=given.get("project") or given.get("tenant") or "",
        project_id=given.get("project_id") or "",
        user_domain=given.get("user_domain_name") or domain,
        project_domain=given.get("project_domain_name") or domain,
    )


def _require(given: Mapping[str, Any], *choices: tuple[str, ...]) -> None:
    for names in choices:
        if not any(given.get(name) for name in names):
            raise CloudError(
                f"the OpenStack CPI lacks the property '{names[0]}'",
                fix=f"set '{names[0]}', or use an application credential",
            )


def address_pairs(properties: Json) -> list[dict[str, str]]:
    """Return a VM's allowed address pairs as Neutron takes them."""
    given = properties.get("allowed_address_pairs") or ()
    several = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
    return [{"ip_address": one} if isinstance(one, str) else dict(one) for one in several]

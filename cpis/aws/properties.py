"""What operators write for the AWS CPI, by BOSH's own names: schemas, and what they say as values.

The schemas are the only list of names there is; the tables of the README are made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpis.aws.schemas import DISK, GLOBAL, NETWORK, VM
from cpis.contract import CloudError, NotSupportedByCpi
from cpis.properties import check_properties

DEFAULT_DISK_TYPE = "gp3"
DEFAULT_EPHEMERAL_MB = 10 * 1024
WITH_IOPS = ("gp3", "io1", "io2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ebs:
    """How an EBS volume is made. ``size_mb`` None: as large as its snapshot. Encryption is None
    where the account's default decides."""

    size_mb: int | None = None
    type: str = DEFAULT_DISK_TYPE
    iops: int | None = None
    throughput: int | None = None
    encrypted: bool | None = None
    kms_key_arn: str | None = None

    @property
    def size_gib(self) -> int | None:
        """The size as AWS counts: whole GiB, rounded up."""
        return None if self.size_mb is None else gib(self.size_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The CPI's own properties, checked. The endpoints are None for AWS's own."""

    region: str
    credentials_source: str = "static"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    default_key_name: str | None = None
    default_security_groups: tuple[str, ...] = ()
    default_iam_instance_profile: str | None = None
    max_retries: int = 12
    encrypted: bool | None = None
    kms_key_arn: str | None = None
    metadata_options: Mapping[str, Any] = field(default_factory=dict)
    ec2_endpoint: str | None = None
    elb_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VmProperties:
    """A VM's cloud properties, checked. ``ephemeral_disk`` None: the instance's own storage."""

    instance_type: str
    availability_zone: str | None = None
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    spot_bid_price: float | None = None
    spot_ondemand_fallback: bool = False
    elbs: tuple[str, ...] = ()
    lb_target_groups: tuple[str, ...] = ()
    iam_instance_profile: str | None = None
    placement_group: str | None = None
    tenancy: str | None = None
    auto_assign_public_ip: bool | None = None
    advertised_routes: tuple[Mapping[str, str], ...] = ()
    source_dest_check: bool = True
    ephemeral_disk: Ebs | None = None
    root_disk: Ebs | None = None
    metadata_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProperties:
    """A manual subnet's or dynamic network's cloud properties, checked."""

    subnet: str
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskProperties:
    """A disk's cloud properties, checked, without its size."""

    ebs: Ebs
    availability_zone: str | None = None


def read_settings(properties: Mapping[str, Any]) -> Settings:
    """Return the CPI's own properties; raises CloudError with all that is wrong."""
    given = _given(properties)
    if "role_arn" in given:
        raise NotSupportedByCpi(
            "the AWS CPI does not assume roles: 'role_arn' is set",
            fix="give the director's own instance the role and set credentials_source: "
            "instance_profile, or hand in the role's keys with 'session_token'",
        )
    check_properties("AWS CPI", GLOBAL, given)
    settings = Settings(
        **{**given, "default_security_groups": tuple(given.get("default_security_groups", ()))}
    )
    keys = (settings.access_key_id, settings.secret_access_key)
    if settings.credentials_source == "static" and not all(keys):
        raise CloudError(
            "the AWS CPI has no credentials",
            fix="set 'access_key_id' and 'secret_access_key', or credentials_source: "
            "env_or_profile or instance_profile",
        )
    return settings


def read_vm(settings: Settings, properties: Mapping[str, Any]) -> VmProperties:
    """Return a VM's cloud properties, completed by the CPI's own."""
    check_properties("VM", VM, properties)
    given = _given(properties)
    if given.pop("raw_instance_storage", False):
        raise NotSupportedByCpi(
            "'raw_instance_storage' labels disks for BOSH's agent, which these VMs do not have",
            fix="leave it out: the instance's own NVMe disks are there, unformatted",
        )
    ephemeral = _given(given.pop("ephemeral_disk", {}))
    own_storage = bool(ephemeral.pop("use_instance_storage", False))
    if own_storage and ephemeral:
        raise CloudError(
            "'ephemeral_disk.use_instance_storage' stands beside "
            + ", ".join(f"'{key}'" for key in sorted(ephemeral)),
            fix="leave the others out: the instance's own disks are as they are",
        )
    root = given.pop("root_disk", None)
    lists = ("security_groups", "elbs", "lb_target_groups", "advertised_routes")
    given.update({key: tuple(given.get(key, ())) for key in lists})
    ephemeral.setdefault("size", DEFAULT_EPHEMERAL_MB)
    return VmProperties(
        **given,
        ephemeral_disk=None if own_storage else _ebs("ephemeral_disk", settings, ephemeral),
        root_disk=_root_disk(settings, root),
    )


def read_network(name: str, properties: Mapping[str, Any]) -> NetworkProperties:
    """Return the cloud properties of a network that is no vip network."""
    check_properties(f"network '{name}'", NETWORK, properties)
    given = _given(properties)
    return NetworkProperties(
        subnet=given["subnet"], security_groups=tuple(given.get("security_groups", ()))
    )


def read_disk(settings: Settings, properties: Mapping[str, Any], size_mb: int) -> DiskProperties:
    """Return a disk's cloud properties, completed by the CPI's own."""
    if size_mb <= 0:
        raise CloudError(f"a disk of {size_mb} MiB cannot be made", fix="use a size above 0")
    check_properties("disk", DISK, properties)
    given = _given(properties)
    zone = given.pop("availability_zone", None)
    return DiskProperties(
        ebs=_ebs("disk", settings, {**given, "size": size_mb}), availability_zone=zone
    )


def gib(size_mb: int) -> int:
    """Return MiB as whole GiB, rounded up."""
    return -(-size_mb // 1024)


def _root_disk(settings: Settings, given: Mapping[str, Any] | None) -> Ebs | None:
    if given is None and not settings.encrypted:
        return None
    return _ebs("root_disk", settings, _given(given or {}))


def _ebs(owner: str, settings: Settings, given: Mapping[str, Any]) -> Ebs:
    kind = given.get("type", DEFAULT_DISK_TYPE)
    if given.get("iops") and kind not in WITH_IOPS:
        raise CloudError(
            f"{owner} of type '{kind}' has 'iops'", fix=f"use a type of {', '.join(WITH_IOPS)}"
        )
    if kind in ("io1", "io2") and not given.get("iops"):
        raise CloudError(f"{owner} of type '{kind}' lacks 'iops'", fix="set 'iops', or use gp3")
    if given.get("throughput") and kind != "gp3":
        raise CloudError(f"{owner} of type '{kind}' has 'throughput'", fix="use type: gp3")
    encrypted = given.get("encrypted", settings.encrypted)
    key = given.get("kms_key_arn") or (settings.kms_key_arn if encrypted else None)
    if key and not encrypted:
        raise CloudError(
            f"{owner} has 'kms_key_arn' and is not encrypted", fix="set encrypted: true"
        )
    return Ebs(
        size_mb=given.get("size"),
        type=kind,
        iops=given.get("iops"),
        throughput=given.get("throughput"),
        encrypted=encrypted,
        kms_key_arn=key,
    )


def _given(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if value is not None}

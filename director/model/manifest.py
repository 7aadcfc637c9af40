"""A deployment manifest as read: valid in itself, nothing in it looked up yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.model.amounts import Amount, WatchTime
from director.model.source import Path, Source

Json = Mapping[str, Any]
"""A mapping straight from YAML or JSON: keys are strings, values anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseUse:
    """One entry of ``releases``; ``version`` is exact, ``latest`` or ``create``."""

    name: str
    version: str
    url: str | None = None
    sha1: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StemcellUse:
    """One entry of ``stemcells``; exactly one of ``os`` and ``name`` is set."""

    alias: str
    version: str
    os: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePolicy:
    """An ``update`` block with everything filled in (a group's over the deployment's)."""

    canaries: Amount
    max_in_flight: Amount
    canary_watch_time: WatchTime
    update_watch_time: WatchTime
    serial: bool = True
    initial_deploy_az_update_strategy: str = "serial"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUse:
    """What a job says of one link it consumes.

    ``blocked``: the manifest says nil, so the link is absent. ``manual``: a literal provider with
    keys ``instances``, ``address`` and ``properties``. ``explicit`` is true when ``from`` is given.
    """

    name: str
    from_name: str | None = None
    network: str | None = None
    blocked: bool = False
    manual: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOffer:
    """What a job says of one link it provides; ``hidden``: the manifest says nil."""

    name: str
    alias: str | None = None
    shared: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUse:
    """One entry of an instance group's ``jobs``."""

    name: str
    release: str
    properties: Json | None = None
    consumes: Mapping[str, LinkUse] = field(default_factory=dict)
    provides: Mapping[str, LinkOffer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkUse:
    """One entry of an instance group's ``networks``."""

    name: str
    static_ips: tuple[str, ...] = ()
    default: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedFrom:
    """An old group whose instances this group takes over."""

    name: str
    az: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VmResources:
    """What a VM must have at least; sizes in MiB."""

    cpu: int
    ram: int
    ephemeral_disk_size: int

    def to_cpi(self) -> dict[str, int]:
        """Return the argument of the CPI protocol's ``calculate_vm_cloud_properties``."""
        return {
            "cpu": self.cpu,
            "ram": self.ram,
            "ephemeral_disk_size": self.ephemeral_disk_size,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGroup:
    """One entry of ``instance_groups``; ``path`` is where it stands in the manifest.

    ``vm_type`` is empty where ``vm_resources`` are given.
    """

    name: str
    path: Path
    instances: int
    jobs: tuple[JobUse, ...]
    vm_type: str
    stemcell: str
    networks: tuple[NetworkUse, ...]
    update: UpdatePolicy
    vm_resources: VmResources | None = None
    azs: tuple[str, ...] = ()
    vm_extensions: tuple[str, ...] = ()
    persistent_disk_mb: int = 0
    persistent_disk_type: str | None = None
    lifecycle: str = "service"
    env: Json = field(default_factory=dict)
    migrated_from: tuple[MigratedFrom, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Json = field(default_factory=dict)


VARIABLE_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "password": {
        "length": "a whole number",
        "exclude_lower": "true or false",
        "exclude_number": "true or false",
        "exclude_upper": "true or false",
    },
    "certificate": {
        "common_name": "text",
        "alternative_names": "a list of texts",
        "is_ca": "true or false",
        "self_sign": "true or false",
        "ca": "text",
        "organization": "text",
        "organization_unit": "text",
        "locality": "text",
        "state": "text",
        "country": "text",
        "key_usage": "a list of texts",
        "extended_key_usage": "a list of texts",
        "duration": "a whole number",
        "key_length": "a whole number",
    },
    "rsa": {"key_length": "a whole number"},
    "ssh": {"key_length": "a whole number"},
}
"""The types of variables, their options, and what those are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One entry of ``variables``: how to generate a credential."""

    name: str
    type: str
    options: Json = field(default_factory=dict)
    update_mode: str = "no-overwrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A whole manifest. For the errors of later stages, ``sources`` says where each path stands and
    ``uses`` where each variable is first used."""

    name: str
    releases: tuple[ReleaseUse, ...]
    stemcells: tuple[StemcellUse, ...]
    instance_groups: tuple[InstanceGroup, ...]
    variables: tuple[Variable, ...] = ()
    properties: Json = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    sources: Mapping[Path, Source] = field(default_factory=dict, compare=False, repr=False)
    uses: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)

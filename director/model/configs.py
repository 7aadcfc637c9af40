"""A cloud config as read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from director.model.manifest import Json
from director.model.source import Path, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Az:
    """An availability zone; ``cpi`` names an entry of the CPI config, if there is one."""

    name: str
    cpi: str | None = None
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmType:
    """A kind of VM."""

    name: str
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmExtension:
    """Cloud properties laid over a VM type's."""

    name: str
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskType:
    """A kind of persistent disk; the size is in MiB."""

    name: str
    disk_size_mb: int
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A range of addresses. ``azs`` is empty where the network knows no AZs.

    ``reserved`` holds inclusive (first, last) pairs never given out (gateway, network and broadcast
    addresses are in it); ``static`` holds pairs given only to whoever asks for them.
    """

    range: IPv4Network
    gateway: IPv4Address | None = None
    dns: tuple[str, ...] = ()
    azs: tuple[str, ...] = ()
    reserved: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    static: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSubnet:
    """A subnet of a dynamic network: the cloud picks the address."""

    dns: tuple[str, ...] = ()
    azs: tuple[str, ...] = ()
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A named network; ``type`` is ``manual`` or ``dynamic``, and only its subnets are filled."""

    name: str
    type: str
    subnets: tuple[Subnet, ...] = ()
    dynamic_subnets: tuple[DynamicSubnet, ...] = ()

    @property
    def azs(self) -> tuple[str, ...]:
        """The AZs its subnets are in, each once, in their order."""
        parts = [*(s.azs for s in self.subnets), *(s.azs for s in self.dynamic_subnets)]
        return tuple(dict.fromkeys(az for azs in parts for az in azs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Where and how packages are compiled."""

    workers: int
    network: str
    az: str | None = None
    vm_type: str | None = None
    cloud_properties: Json = field(default_factory=dict)
    vm_extensions: tuple[str, ...] = ()
    reuse_compilation_vms: bool = False
    env: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """A whole cloud config; names are unique, so each kind is a mapping by name."""

    azs: Mapping[str, Az] = field(default_factory=dict)
    vm_types: Mapping[str, VmType] = field(default_factory=dict)
    vm_extensions: Mapping[str, VmExtension] = field(default_factory=dict)
    disk_types: Mapping[str, DiskType] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    compilation: Compilation | None = None
    sources: Mapping[Path, Source] = field(default_factory=dict, compare=False, repr=False)
    uses: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)

    def vm_cloud_properties(
        self, *, az: str | None, vm_type: str | None, vm_extensions: tuple[str, ...]
    ) -> dict[str, object]:
        """Return AZ, VM type and extensions laid over one another; the later wins, key by key."""
        merged: dict[str, object] = {}
        if az is not None:
            merged.update(self.azs[az].cloud_properties)
        if vm_type is not None:
            merged.update(self.vm_types[vm_type].cloud_properties)
        for name in vm_extensions:
            merged.update(self.vm_extensions[name].cloud_properties)
        return merged

"""A cloud config and a CPI config as read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from director.model.manifest import Json, VmResources
from director.model.source import Path, Source
from director.model.stemcell import Stemcell


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
class VipSubnet:
    """Addresses of a vip network: ``static`` holds inclusive (first, last) pairs.

    Where a network has none, manifests name its addresses (``static_ips``).
    """

    azs: tuple[str, ...] = ()
    static: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    cloud_properties: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A named network; ``type`` is ``manual``, ``dynamic`` or ``vip``, and only its kind of subnets
    is filled."""

    name: str
    type: str
    subnets: tuple[Subnet, ...] = ()
    dynamic_subnets: tuple[DynamicSubnet, ...] = ()
    vip_subnets: tuple[VipSubnet, ...] = ()

    @property
    def azs(self) -> tuple[str, ...]:
        """The AZs its subnets are in, each once, in their order."""
        parts = [
            *(subnet.azs for subnet in self.subnets),
            *(subnet.azs for subnet in self.dynamic_subnets),
            *(subnet.azs for subnet in self.vip_subnets),
        ]
        return tuple(dict.fromkeys(az for azs in parts for az in azs))

    @property
    def has_pool(self) -> bool:
        """Whether the director picks addresses of it for instances that name none."""
        return self.type == "manual" or any(subnet.static for subnet in self.vip_subnets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Where and how packages are compiled."""

    workers: int
    network: str
    az: str | None = None
    vm_type: str | None = None
    vm_resources: VmResources | None = None
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
        self,
        *,
        az: str | None,
        vm_type: str | None,
        vm_extensions: tuple[str, ...],
        calculated: Json | None = None,
    ) -> dict[str, object]:
        """Return AZ, VM type and extensions laid over one another; the later wins, key by key.

        ``calculated`` is what a CPI made of ``vm_resources``, in the place of a VM type.
        """
        merged: dict[str, object] = {}
        if az is not None:
            merged.update(self.azs[az].cloud_properties)
        if vm_type:
            merged.update(self.vm_types[vm_type].cloud_properties)
        merged.update(calculated or {})
        for name in vm_extensions:
            merged.update(self.vm_extensions[name].cloud_properties)
        return merged


@dataclass(frozen=True, slots=True, kw_only=True)
class CpiEntry:
    """A CPI: the installed one called ``type``, or the executable at ``exec_path``.

    ``properties`` still hold their ``((variables))``. ``migrated_from`` are names by which VMs,
    disks and stemcells of this CPI may be recorded; the empty one is that of the default CPI.
    """

    name: str
    type: str
    exec_path: str | None = None
    properties: Json = field(default_factory=dict, repr=False)
    migrated_from: tuple[str, ...] = ()

    @property
    def first_name(self) -> str:
        """The name it had first: what it keeps on this host is found by that one."""
        return self.migrated_from[0] if self.migrated_from else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class CpiConfig:
    """The named CPIs; without any there is only the default one, whose name is empty.

    ``uses`` says where each variable is first used.
    """

    entries: Mapping[str, CpiEntry] = field(default_factory=dict)
    uses: Mapping[str, Source] = field(default_factory=dict, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The CPIs that stemcells are uploaded to."""
        return tuple(self.entries) or ("",)

    def current(self, name: str) -> str:
        """Return what the CPI once called ``name`` is called now: mostly the same."""
        if name in self.entries:
            return name
        return next((e.name for e in self.entries.values() if name in e.migrated_from), name)

    def current_copies(self, stemcells: Iterable[Stemcell]) -> list[Stemcell]:
        """Return stemcells under the names their CPIs have now: one for each name, version, CPI."""
        found: dict[tuple[str, str, str], Stemcell] = {}
        for stemcell in stemcells:
            copy = replace(stemcell, cpi=self.current(stemcell.cpi))
            key = (copy.name, copy.version, copy.cpi)
            if key not in found or stemcell.cpi == copy.cpi:
                found[key] = copy
        return list(found.values())


def called(cpi: str) -> str:
    """Return how an operator is told of the CPI of this name: ``CPI 'a'``, ``the default CPI``."""
    return f"CPI '{cpi}'" if cpi else "the default CPI"

"""Small valid values for tests: each argument left out has a default that fits the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from director.model.amounts import Amount, WatchTime
from director.model.configs import Az, CloudConfig, DynamicSubnet, Network, Subnet
from director.model.ids import AgentId, BlobId, DiskCid, InstanceId, StemcellCid, VmCid
from director.model.instances import (
    ActualInstance,
    DesiredState,
    DiskSpec,
    Found,
    InstanceSpec,
    JobDigests,
    NetworkSpec,
    PackageRef,
    RecordedDisk,
    RecordedInstance,
    RecordedVm,
    StemcellRef,
)
from director.model.manifest import NetworkUse, UpdatePolicy
from director.model.release import Job, Package, Release
from director.model.resolved import ResolvedDeployment, ResolvedGroup, ResolvedJob
from director.model.stemcell import Stemcell

# -- content ------------------------------------------------------------------------------------


def package(name: str = "redis-server", *needs: str, fingerprint: str = "") -> Package:
    return Package(
        name=name,
        fingerprint=fingerprint or f"{name}-fp",
        dependencies=needs,
        blob=BlobId(f"{name}-blob"),
    )


def job(name: str = "redis", *packages: str, **changes: Any) -> Job:
    return replace(
        Job(name=name, fingerprint=f"{name}-fp", packages=packages, blob=BlobId(f"{name}-blob")),
        **changes,
    )


def release(
    name: str = "redis",
    version: str = "1",
    *,
    jobs: Iterable[Job] | None = None,
    packages: Iterable[Package] | None = None,
) -> Release:
    jobs = (job("redis", "redis-server"),) if jobs is None else jobs
    packages = (package("redis-server"),) if packages is None else packages
    return Release(
        name=name,
        version=version,
        jobs={j.name: j for j in jobs},
        packages={p.name: p for p in packages},
    )


def stemcell(version: str = "1", **changes: Any) -> Stemcell:
    base = Stemcell(
        name="director-debian-12",
        version=version,
        operating_system="debian-12",
        cid=StemcellCid(f"sc-{version}"),
    )
    return replace(base, **changes)


make_stemcell = stemcell

# -- cloud config -------------------------------------------------------------------------------


def ips(*pairs: str) -> tuple[tuple[IPv4Address, IPv4Address], ...]:
    """``ips("10.0.0.1", "10.0.0.5-10.0.0.9")`` as inclusive pairs."""
    split = [(pair.partition("-")[0], pair.partition("-")[2] or pair) for pair in pairs]
    return tuple((IPv4Address(a), IPv4Address(b)) for a, b in split)


def subnet(
    cidr: str = "10.0.0.0/24",
    *,
    azs: Sequence[str] = (),
    reserved: Sequence[str] = (),
    static: Sequence[str] = (),
    **changes: Any,
) -> Subnet:
    """A subnet as read: network, gateway (the first) and broadcast address are reserved."""
    network = IPv4Network(cidr)
    gateway = network[1]
    own = ips(str(network[0]), str(gateway), str(network[-1]))
    return replace(
        Subnet(
            range=network,
            gateway=gateway,
            dns=("8.8.8.8",),
            azs=tuple(azs),
            reserved=(*own, *ips(*reserved)),
            static=ips(*static),
        ),
        **changes,
    )


def network(name: str = "default", *subnets: Subnet) -> Network:
    return Network(name=name, type="manual", subnets=subnets or (subnet(),))


def dynamic_network(name: str = "cloud", *subnets: DynamicSubnet) -> Network:
    return Network(name=name, type="dynamic", dynamic_subnets=subnets)


# -- what is wanted -----------------------------------------------------------------------------


def policy(canaries: int | str = 1, max_in_flight: int | str = 2, **changes: Any) -> UpdatePolicy:
    return replace(
        UpdatePolicy(
            canaries=Amount.parse(canaries),
            max_in_flight=Amount.parse(max_in_flight),
            canary_watch_time=WatchTime(1000, 60000),
            update_watch_time=WatchTime(1000, 60000),
        ),
        **changes,
    )


def disk(size_mb: int = 1024, **changes: Any) -> DiskSpec:
    return replace(DiskSpec(size_mb=size_mb), **changes)


def group(
    name: str = "redis",
    instances: int = 1,
    *,
    azs: Sequence[str] = (),
    networks: Sequence[tuple[NetworkUse, Network]] | None = None,
    static_ips: Sequence[str] = (),
    releases: Sequence[Release] | None = None,
    cloud_properties: Mapping[str, Any] | None = None,
    stemcell: Stemcell | None = None,
    **changes: Any,
) -> ResolvedGroup:
    """A group that runs every job of ``releases`` and has one network, ``default``."""
    releases = (release(),) if releases is None else releases
    if networks is None:
        networks = ((NetworkUse(name="default", static_ips=tuple(static_ips)), network()),)
    properties = {"memory": 256} if cloud_properties is None else cloud_properties
    base = ResolvedGroup(
        name=name,
        path=("instance_groups", 0),
        instances=instances,
        lifecycle="service",
        jobs=tuple(ResolvedJob(job=j, release=r) for r in releases for j in r.jobs.values()),
        stemcells=dict.fromkeys(azs or (None,), stemcell or make_stemcell()),
        vm_type="small",
        cloud_properties=dict.fromkeys(azs or (None,), properties),
        networks=tuple(networks),
        update=policy(),
        azs=tuple(azs),
    )
    return replace(base, **changes)


def resolved(*groups: ResolvedGroup, name: str = "dep", **changes: Any) -> ResolvedDeployment:
    """A deployment of these groups, in this order, with the releases and networks they use."""
    groups = tuple(replace(g, path=("instance_groups", n)) for n, g in enumerate(groups))
    networks = {network.name: network for g in groups for _, network in g.networks}
    azs = {az: Az(name=az) for g in groups for az in g.azs}
    base = ResolvedDeployment(
        name=name,
        groups=groups,
        releases={j.release.name: j.release for g in groups for j in g.jobs},
        stemcells={"default": tuple({s for g in groups for s in g.stemcells.values()})},
        cloud=CloudConfig(networks=networks, azs=azs),
    )
    return replace(base, **changes)


def digests(name: str = "redis", **changes: Any) -> JobDigests:
    base = JobDigests(name=name, release="redis", fingerprint=f"{name}-fp", templates="t1")
    return replace(base, **changes)


def spec(id: str = "i0", **changes: Any) -> InstanceSpec:
    """One instance as wanted: ``redis/i0``, index 0, bootstrap, at 10.0.0.2."""
    base = InstanceSpec(
        id=InstanceId(id),
        deployment="dep",
        group="redis",
        index=0,
        az=None,
        bootstrap=True,
        lifecycle="service",
        stemcell=StemcellRef(name="director-debian-12", version="1", os="debian-12"),
        vm_type="small",
        cloud_properties={"memory": 256},
        env={},
        networks=(manual_place(),),
        jobs=(digests(),),
        packages=(PackageRef(name="redis-server", release="redis", fingerprint="fp"),),
    )
    return replace(base, **changes)


def manual_place(ip: str = "10.0.0.2", **changes: Any) -> NetworkSpec:
    base = NetworkSpec(
        name="default",
        type="manual",
        ip=ip,
        netmask="255.255.255.0",
        gateway="10.0.0.1",
        dns=("8.8.8.8",),
        default=("dns", "gateway"),
    )
    return replace(base, **changes)


# -- what is there ------------------------------------------------------------------------------


def vm(id: str = "i0", **changes: Any) -> RecordedVm:
    base = RecordedVm(
        agent_id=AgentId(f"agent-{id}"),
        deployment="dep",
        cid=VmCid(f"vm-{id}"),
        instance_id=InstanceId(id),
    )
    return replace(base, **changes)


def recorded_disk(id: str = "i0", size_mb: int = 1024, **changes: Any) -> RecordedDisk:
    base = RecordedDisk(
        token=f"disk-{id}",
        deployment="dep",
        instance_name=f"redis/{id}",
        size_mb=size_mb,
        cid=DiskCid(f"disk-{id}"),
        instance_id=InstanceId(id),
        active=True,
    )
    return replace(base, **changes)


def instance(id: str = "i0", index: int = 0, **changes: Any) -> RecordedInstance:
    """A row of group ``redis`` with a VM, nothing applied yet and no disk."""
    base = RecordedInstance(
        id=InstanceId(id), deployment="dep", group="redis", index=index, vm=vm(id)
    )
    return replace(base, **changes)


def applied(wanted: InstanceSpec, **changes: Any) -> RecordedInstance:
    """The row of an instance on which ``wanted`` was applied completely."""
    base = RecordedInstance(
        id=wanted.id,
        deployment=wanted.deployment,
        group=wanted.group,
        index=wanted.index,
        az=wanted.az,
        bootstrap=wanted.bootstrap,
        spec=wanted,
        vm=vm(
            wanted.id,
            networks={n.name: {"ip": n.ip} for n in wanted.networks if n.ip is not None},
        ),
        disks=(_applied_disk(wanted),) if wanted.disk is not None else (),
    )
    return replace(base, **changes)


def _applied_disk(wanted: InstanceSpec) -> RecordedDisk:
    assert wanted.disk is not None
    return recorded_disk(
        wanted.id,
        wanted.disk.size_mb,
        type=wanted.disk.type,
        cloud_properties=wanted.disk.cloud_properties,
        instance_name=wanted.name,
        az=wanted.az,
    )


def running(recorded: RecordedInstance | InstanceSpec, **changes: Any) -> ActualInstance:
    """An instance found answering; a spec stands for an instance it was applied on."""
    row = applied(recorded) if isinstance(recorded, InstanceSpec) else recorded
    return replace(ActualInstance(recorded=row, found=Found.RESPONSIVE), **changes)


def missing(recorded: RecordedInstance | InstanceSpec) -> ActualInstance:
    return running(recorded, found=Found.MISSING)


def detached(wanted: InstanceSpec) -> ActualInstance:
    """An instance after ``stop --hard``."""
    row = applied(wanted, state=DesiredState.DETACHED, vm=None)
    return ActualInstance(recorded=row, found=Found.NO_VM)

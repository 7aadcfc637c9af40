"""How long a plan of many instances takes, in memory: placing, comparing, ordering, telling.

Run by hand: ``.venv/bin/python benchmarks/plan_10000.py``. Exits 1 when 10,000 instances take more
than 5 s, or the time for one instance at 10,000 is more than twice that at 1,000. Each size is
measured in three situations: everything new, nothing to do, and everything to be recreated while
half of the instances go.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import count

from director.model.amounts import Amount, WatchTime
from director.model.configs import Az, CloudConfig, Network, Subnet
from director.model.ids import AgentId, BlobId, DiskCid, StemcellCid, VmCid
from director.model.instances import (
    ActualInstance,
    DiskSpec,
    Found,
    InstanceSpec,
    RecordedDisk,
    RecordedInstance,
    RecordedVm,
    spec_from_json,
    spec_to_json,
)
from director.model.manifest import NetworkUse, UpdatePolicy
from director.model.release import Job, Package, Release
from director.model.resolved import ResolvedDeployment, ResolvedGroup, ResolvedJob
from director.model.stemcell import Stemcell
from director.plan.compile_order import CompiledKey
from director.plan.describe import describe
from director.plan.placement import place
from director.plan.planner import PlanOptions, plan
from director.plan.steps import Plan

SIZES = (1_000, 2_000, 5_000, 10_000)
LIMIT_S = 5.0
GROUPS = 10
AZS = ("z1", "z2", "z3")

Taken = dict[tuple[str, str], str]


def deployment(instances: int, *, memory: int = 512) -> ResolvedDeployment:
    """Ten groups over three AZs of one network, five jobs each; every second group has disks."""
    packages = [Package(name=f"p{n}", fingerprint=f"f{n}", blob=BlobId("b")) for n in range(10)]
    jobs = [
        Job(name=f"j{n}", fingerprint=f"f{n}", packages=(f"p{n}", f"p{n + 5}")) for n in range(5)
    ]
    release = Release(
        name="r",
        version="1",
        jobs={job.name: job for job in jobs},
        packages={package.name: package for package in packages},
    )
    network = Network(
        name="default", type="manual", subnets=tuple(subnet(n, az) for n, az in enumerate(AZS))
    )
    groups = tuple(
        ResolvedGroup(
            name=f"group{n}",
            path=("instance_groups", n),
            instances=instances // GROUPS,
            lifecycle="service",
            jobs=tuple(ResolvedJob(job=job, release=release) for job in jobs),
            stemcells=dict.fromkeys(AZS, STEMCELL),
            vm_type="small",
            cloud_properties={az: {"memory": memory, "zone": az} for az in AZS},
            networks=((NetworkUse(name="default"), network),),
            update=POLICY,
            azs=AZS,
            disk=DiskSpec(size_mb=1024) if n % 2 else None,
        )
        for n in range(GROUPS)
    )
    return ResolvedDeployment(
        name="big",
        groups=groups,
        releases={"r": release},
        stemcells={"default": (STEMCELL,)},
        cloud=CloudConfig(azs={az: Az(name=az) for az in AZS}, networks={"default": network}),
    )


STEMCELL = Stemcell(name="debian", version="1", operating_system="debian-12", cid=StemcellCid("sc"))
POLICY = UpdatePolicy(
    canaries=Amount(1),
    max_in_flight=Amount(10, percent=True),
    canary_watch_time=WatchTime(1000, 60000),
    update_watch_time=WatchTime(1000, 60000),
)


def subnet(n: int, az: str) -> Subnet:
    cidr = IPv4Network(f"10.{n}.0.0/16")
    reserved = ((cidr[0], cidr[10]), (cidr[-1], cidr[-1]))
    return Subnet(range=cidr, gateway=IPv4Address(cidr[1]), azs=(az,), reserved=reserved)


def rendered(specs: Sequence[InstanceSpec]) -> list[InstanceSpec]:
    return [replace(s, jobs=tuple(replace(j, templates="d") for j in s.jobs)) for s in specs]


def deployed(specs: Sequence[InstanceSpec]) -> list[ActualInstance]:
    """Return the specs as recorded and read again, so that nothing is the same object."""
    return [ActualInstance(recorded=row(spec), found=Found.RESPONSIVE) for spec in specs]


def row(spec: InstanceSpec) -> RecordedInstance:
    disks: tuple[RecordedDisk, ...] = ()
    if spec.disk is not None:
        cid = DiskCid(f"d-{spec.id}")
        disks = (
            RecordedDisk(
                token=cid,
                deployment="big",
                instance_name=spec.name,
                size_mb=spec.disk.size_mb,
                cid=cid,
                instance_id=spec.id,
                active=True,
            ),
        )
    return RecordedInstance(
        id=spec.id,
        deployment=spec.deployment,
        group=spec.group,
        index=spec.index,
        az=spec.az,
        bootstrap=spec.bootstrap,
        spec=spec_from_json(spec_to_json(spec)),
        vm=RecordedVm(
            agent_id=AgentId(f"a-{spec.id}"),
            deployment="big",
            cid=VmCid(f"v-{spec.id}"),
            instance_id=spec.id,
        ),
        disks=disks,
    )


def timed(
    wanted: ResolvedDeployment, actual: Sequence[ActualInstance], taken: Taken
) -> tuple[float, list[InstanceSpec], Plan]:
    ids = count(len(actual))
    gc.collect()
    started = time.perf_counter()
    recorded = [one.recorded for one in actual]
    placement = place(wanted, recorded, taken, lambda: f"{next(ids):08x}-0000-4000-8000-0000")
    specs = rendered(placement.specs)
    compiled: set[CompiledKey] = set()
    made = plan(wanted, placement, specs, actual, compiled, PlanOptions())
    describe(made)
    return time.perf_counter() - started, specs, made


def measure(size: int) -> tuple[float, float, float]:
    """Return the seconds for: all new, nothing to do, all recreated with half of them going."""
    first, specs, made = timed(deployment(size), [], {})
    assert len(made.create) == size
    actual = deployed(specs)
    taken: Taken = {(n.name, str(n.ip)): s.id for s in specs for n in s.networks}
    again, _, made = timed(deployment(size), actual, taken)
    assert len(made.kept) == size
    changed, _, made = timed(deployment(size // 2, memory=1024), actual, taken)
    assert not made.kept
    return first, again, changed


def main() -> int:
    print(f"{'instances':>9}  {'all new':>9}  {'no change':>9}  {'halved, recreated':>17}")
    worst: dict[int, float] = {}
    for size in SIZES:
        first, again, changed = measure(size)
        worst[size] = max(first, again, changed)
        print(f"{size:>9,}  {first:>7.2f} s  {again:>7.2f} s  {changed:>15.2f} s")
    smallest, largest = min(SIZES), max(SIZES)
    growth = (worst[largest] / largest) / (worst[smallest] / smallest)
    print(f"per instance, {largest:,} against {smallest:,}: {growth:.2f} times")
    return 0 if worst[largest] <= LIMIT_S and growth <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())

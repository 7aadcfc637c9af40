"""What holds for every plan: over histories of random deploys, interruptions and losses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from builders import (
    digests,
    disk,
    group,
    network,
    policy,
    recorded_disk,
    resolved,
    subnet,
    vm,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from director.model.instances import ActualInstance, DesiredState, Found, RecordedInstance
from director.model.manifest import NetworkUse
from director.plan.compile_order import compiled_key
from director.plan.describe import describe, describe_json
from director.plan.placement import place
from director.plan.planner import PlanOptions, plan
from director.plan.steps import Action, CreateVm, DeleteInstance, UpdateInstance

AZS = ("z1", "z2", "z3")
NETWORK = network(
    "default",
    *(
        subnet(f"10.0.{n}.0/26", azs=[az], static=[f"10.0.{n}.40-10.0.{n}.50"])
        for n, az in enumerate(AZS)
    ),
)
# Hypothesis is seeded, so that a failure is the same for everybody, and keeps no files.
seeded = settings(derandomize=True, database=None, deadline=None, max_examples=150)


@dataclass
class Cloud:
    """A director's records and what they stand for; applying a step is what execution does."""

    rows: dict[str, RecordedInstance] = field(default_factory=dict)
    taken: dict[tuple[str, str], str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    compiled: set[tuple[str, ...]] = field(default_factory=set)
    ids: count = field(default_factory=count)
    orphans: int = 0

    def actual(self) -> list[ActualInstance]:
        return [ActualInstance(recorded=row, found=self.found(row)) for row in self.rows.values()]

    def found(self, row: RecordedInstance) -> Found:
        if row.vm is None:
            return Found.NO_VM
        return Found.MISSING if row.id in self.lost else Found.RESPONSIVE

    def plan(self, deployment, options=None):
        placement = place(
            deployment, list(self.rows.values()), self.taken, lambda: f"id{next(self.ids)}"
        )
        rendered = [
            replace(s, jobs=(digests(templates=f"{s.group} {s.bootstrap}"),))
            for s in placement.specs
        ]
        made = plan(
            deployment, placement, rendered, self.actual(), self.compiled, options or PlanOptions()
        )
        return placement, made

    def claim(self, placement) -> None:
        """Record new instances and reserve addresses, as an operation does before it executes."""
        for spec in placement.specs:
            self.rows.setdefault(
                spec.id,
                RecordedInstance(
                    id=spec.id,
                    deployment=spec.deployment,
                    group=spec.group,
                    index=spec.index,
                    az=spec.az,
                    bootstrap=spec.bootstrap,
                    dirty=True,
                ),
            )
            for place_ in spec.networks:
                owner = self.taken.setdefault((place_.name, place_.ip), spec.id)
                assert owner == spec.id, "an address was given out twice"

    def apply(self, step) -> None:
        if isinstance(step, DeleteInstance):
            row = self.rows.pop(step.instance.recorded.id)
            self.orphans += len(row.disks)
            self.taken = {at: owner for at, owner in self.taken.items() if owner != row.id}
        elif isinstance(step, CreateVm):
            self.give_vm(step.spec)
        else:
            self.update(step)

    def give_vm(self, spec) -> None:
        bare = replace(spec, jobs=(), packages=())
        self.rows[spec.id] = replace(self.rows[spec.id], vm=vm(spec.id), spec=bare, dirty=True)
        self.lost.discard(spec.id)

    def update(self, step: UpdateInstance) -> None:
        spec = step.spec
        if step.state == DesiredState.DETACHED:
            self.rows[spec.id] = replace(self.rows[spec.id], vm=None)
            self.lost.discard(spec.id)
        elif step.action is Action.RECREATE and not step.vm_is_new:
            self.give_vm(spec)
        if step.disk_changes:
            row = self.rows[spec.id]
            self.orphans += len(row.disks)
            new = (recorded_disk(spec.id, spec.disk.size_mb),) if spec.disk else ()
            self.rows[spec.id] = replace(row, disks=new)
        self.rows[spec.id] = replace(
            self.rows[spec.id],
            spec=spec,
            dirty=False,
            group=spec.group,
            index=spec.index,
            az=spec.az,
            bootstrap=spec.bootstrap,
            state=DesiredState(step.state),
        )

    def execute(self, placement, made, only_first: int | None = None) -> None:
        """Do the plan, or its first steps only, as when the director is killed."""
        self.claim(placement)
        self.compiled |= {
            compiled_key(step.release, step.package.name, step.stemcell) for step in made.compile
        }
        for step in steps(made)[:only_first]:
            self.apply(step)
        if only_first is None:
            wanted = {(n.name, n.ip) for s in placement.specs for n in s.networks}
            self.taken = {at: owner for at, owner in self.taken.items() if at in wanted}


def steps(made):
    """Every step in the order of execution."""
    flat = [*made.obsolete, *made.create]
    for phase in made.phases:
        for one in phase:
            flat += [*one.deletes, *(u for w in one.waves for u in w.updates)]
    return flat


groups = st.builds(
    lambda name, instances, azs, size, serial, canaries, in_flight, memory: group(
        name,
        instances,
        azs=azs,
        disk=disk(size) if size else None,
        cloud_properties={"memory": memory},
        update=policy(canaries, in_flight, serial=serial),
        networks=((NetworkUse(name="default"), NETWORK),),
    ),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 6),
    st.lists(st.sampled_from(AZS), min_size=1, max_size=3, unique=True),
    st.sampled_from([0, 0, 1024, 2048]),
    st.booleans(),
    st.sampled_from([0, 1, 2, "50%"]),
    st.sampled_from([1, 3, "10%", "50%"]),
    st.sampled_from([1, 2]),
)
deployments = st.lists(groups, min_size=1, max_size=3, unique_by=lambda g: g.name).map(
    lambda those: resolved(*those)
)


@st.composite
def histories(draw):
    """Deployments one after another, each with what goes wrong before it."""
    return [
        (
            draw(deployments),
            draw(st.integers(0, 12)),
            draw(st.lists(st.integers(0, 20), max_size=3)),
            draw(st.lists(st.integers(0, 20), max_size=2)),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


def disturb(cloud: Cloud, lost: list[int], detached: list[int]) -> PlanOptions:
    ids = list(cloud.rows)
    chosen = {ids[n % len(ids)] for n in detached} if ids else set()
    cloud.lost |= {ids[n % len(ids)] for n in lost if ids and cloud.rows[ids[n % len(ids)]].vm}
    return PlanOptions(state_changes=dict.fromkeys(chosen, DesiredState.DETACHED))


def check(cloud, deployment, placement, made) -> None:
    named = [s.instance.recorded.id for s in steps(made) if isinstance(s, DeleteInstance)]
    named += [s.spec.id for s in steps(made) if isinstance(s, UpdateInstance)]
    named += [s.id for s in (*made.kept, *made.ignored)]
    assert len(named) == len(set(named)), "an instance is named twice"
    assert {s.id for s in placement.specs} | {i.id for i in placement.surplus} == set(named)

    for one in deployment.groups:
        specs = [s for s in placement.specs if s.group == one.name]
        assert len(specs) == one.instances
        assert sum(s.bootstrap for s in specs) == min(1, one.instances)
        assert len({s.index for s in specs}) == len(specs)
        free = not any(use.static_ips for use, _ in one.networks)
        bound = one.disk and any(cloud.rows[s.id].disks for s in specs if s.id in cloud.rows)
        if free and not bound:
            crowd = [sum(s.az == az for s in specs) for az in one.azs]
            assert max(crowd) - min(crowd) <= 1, "an AZ is more crowded than it must be"

    given_out = [n.ip for s in placement.specs for n in s.networks]
    assert len(given_out) == len(set(given_out)), "an address was given out twice"

    for phase in made.phases:
        for one in phase:
            check_waves(one)


def check_waves(one) -> None:
    assert sum(w.canary for w in one.waves) <= 1
    by_az = [w.az for w in one.waves]
    assert by_az == sorted(by_az, key=by_az.index), "an AZ is begun again"
    for az in set(by_az):
        waves = [w for w in one.waves if w.az == az]
        total = sum(len(w.updates) for w in waves)
        allowed = max(1, one.policy.max_in_flight.of(total))
        assert all(1 <= w.width <= allowed for w in waves)
    assert 1 <= one.delete_width <= max(1, one.policy.max_in_flight.of(len(one.deletes)))


@seeded
@given(histories())
def test_planning_after_applying_yields_nothing(history):
    cloud = Cloud()
    for deployment, killed_after, lost, detached in history:
        options = disturb(cloud, lost, detached)
        placement, made = cloud.plan(deployment, options)
        check(cloud, deployment, placement, made)
        cloud.execute(placement, made, only_first=killed_after)
        # Whoever asked for a state asks again after the crash.
        still = {id: s for id, s in options.state_changes.items() if id in cloud.rows}
        placement, made = cloud.plan(deployment, PlanOptions(state_changes=still))
        check(cloud, deployment, placement, made)
        cloud.execute(placement, made)

        placement, made = cloud.plan(deployment)
        assert made.changes_nothing, describe(made)
        assert set(cloud.taken.values()) <= set(cloud.rows)
        assert len(cloud.rows) == sum(g.instances for g in deployment.groups)


@seeded
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(1, 3))
def test_a_disk_stays_with_its_instance_unless_the_instance_goes(sizes, azs):
    """Scaling, new VM types and lost VMs orphan a disk for each instance deleted, and no other."""
    cloud = Cloud()
    deleted = 0
    for memory, instances in enumerate(sizes):
        deployment = resolved(
            group(
                instances=instances,
                azs=AZS[:azs],
                disk=disk(),
                cloud_properties={"memory": memory},
                networks=((NetworkUse(name="default"), NETWORK),),
            )
        )
        cloud.lost |= {id for id, row in cloud.rows.items() if row.index % 2}
        before = {id: row.disks for id, row in cloud.rows.items()}
        placement, made = cloud.plan(deployment)
        cloud.execute(placement, made)
        deleted += len(before.keys() - cloud.rows.keys())
        assert cloud.orphans == deleted
        assert len(before) - len(before.keys() - cloud.rows.keys()) == min(len(before), instances)
        for id, disks in before.items():
            assert id not in cloud.rows or cloud.rows[id].disks == disks


@seeded
@given(st.permutations(range(8)), st.integers(0, 8), st.integers(0, 8))
def test_static_addresses_stay_with_their_instances(order, first, second):
    """However the list is ordered, cut or extended, whoever has a listed address keeps it."""
    cloud = Cloud()
    addresses = [f"10.0.{n % 3}.{40 + n}" for n in order]
    held = {}
    for instances in (first, second):
        listed = tuple(sorted(addresses[:instances], reverse=instances == second))
        deployment = resolved(
            group(
                instances=instances,
                azs=AZS,
                networks=((NetworkUse(name="default", static_ips=listed), NETWORK),),
            )
        )
        placement, made = cloud.plan(deployment)
        check(cloud, deployment, placement, made)
        cloud.execute(placement, made)
        now = {s.networks[0].ip: s.id for s in placement.specs}
        assert set(now) == set(listed)
        assert all(now[ip] == id for ip, id in held.items() if ip in now)
        held = now
        assert cloud.plan(deployment)[1].changes_nothing


@seeded
@given(histories())
def test_a_plan_can_always_be_told(history):
    cloud = Cloud()
    for deployment, killed_after, lost, detached in history:
        placement, made = cloud.plan(deployment, disturb(cloud, lost, detached))
        told = describe_json(made)
        assert sum(told["summary"].values()) == (
            len(made.compile) + len(placement.specs) + len(placement.surplus)
        )
        assert describe(made).endswith(".\n")
        cloud.execute(placement, made, only_first=killed_after)

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from builders import (
    applied,
    detached,
    group,
    instance,
    missing,
    policy,
    recorded_disk,
    resolved,
    running,
    spec,
    stemcell,
)

from director.model.errors import PlacementError
from director.model.instances import ActualInstance, DesiredState, Found
from director.model.manifest import MigratedFrom
from director.plan.compile_order import compiled_key
from director.plan.placement import place
from director.plan.planner import PlanOptions, plan, unresponsive
from director.plan.steps import Action

NONE = PlanOptions()
COMPILED = {
    compiled_key(job.release, package, stemcell(version))
    for version in ("1", "2")
    for job in group().jobs
    for package in job.job.packages
}


def planned(deployment, actual=(), options=NONE, compiled=COMPILED):
    ids = count()
    recorded = [a.recorded for a in actual]
    placement = place(deployment, recorded, {}, lambda: f"new{next(ids)}")
    return plan(deployment, placement, placement.specs, actual, compiled, options)


def deployed(deployment, **changes):
    """Every instance of a deployment as found after a plain deploy."""
    placement = place(deployment, [], {}, (f"i{n}" for n in count()).__next__)
    return [running(applied(s, **changes)) for s in placement.specs]


def updates(made):
    return [u for phase in made.phases for g in phase for w in g.waves for u in w.updates]


def deletes(made):
    return [d.instance.recorded.id for phase in made.phases for g in phase for d in g.deletes]


def with_bigger_vms(deployment):
    bigger = {"memory": 1024}
    return replace(
        deployment,
        groups=tuple(
            replace(g, cloud_properties=dict.fromkeys(g.cloud_properties, bigger))
            for g in deployment.groups
        ),
    )


def test_a_first_deploy_compiles_creates_and_updates_everything():
    made = planned(
        resolved(group(instances=3)), options=PlanOptions(first_deploy=True), compiled=()
    )
    assert [step.package.name for step in made.compile] == ["redis-server"]
    assert len(made.create) == 3
    assert [u.canary for u in updates(made)] == [True, False, False]
    assert all(u.vm_is_new and u.action is Action.RECREATE for u in updates(made))


def test_a_second_deploy_changes_nothing():
    deployment = resolved(group(instances=3), group("web", 2))
    made = planned(deployment, deployed(deployment))
    assert made.changes_nothing
    assert len(made.kept) == 5


def test_only_what_differs_is_touched():
    deployment = resolved(group("a", 2), group("b", 2))
    changed = replace(
        deployment, groups=(deployment.groups[0], replace(deployment.groups[1], tags={"x": "y"}))
    )
    made = planned(changed, deployed(deployment))
    assert {u.spec.group for u in updates(made)} == {"b"}
    assert {s.group for s in made.kept} == {"a"}
    assert made.create == ()


def test_surplus_goes_within_its_group_and_obsolete_groups_before_all():
    deployment = resolved(group("a", 4, update=policy(1, "50%")), group("old", 2))
    smaller = resolved(group("a", 1, update=policy(1, "50%")))
    made = planned(smaller, deployed(deployment))
    assert sorted(d.instance.recorded.group for d in made.obsolete) == ["old", "old"]
    assert len(deletes(made)) == 3
    assert made.phases[0][0].delete_width == 1
    assert not made.changes_nothing


def test_surplus_of_a_renamed_group_goes_within_the_new_one():
    recorded = [instance(f"i{n}", n, group="old") for n in range(2)]
    new = group("new", 1, migrated_from=(MigratedFrom(name="old"),))
    made = planned(resolved(new), [running(r) for r in recorded])
    assert made.obsolete == ()
    assert deletes(made) == ["i1"]


def test_a_lost_vm_is_made_again_before_the_rollout():
    deployment = resolved(group(instances=2))
    first, second = deployed(deployment)
    made = planned(deployment, [missing(first.recorded), second])
    assert [c.spec.id for c in made.create] == ["i0"]
    assert [(u.spec.id, u.vm_is_new, u.action) for u in updates(made)] == [
        ("i0", True, Action.RECREATE)
    ]


def test_a_detached_instance_gets_no_vm_until_it_is_started():
    deployment = resolved(group())
    (before,) = deployed(deployment)
    away = detached(before.recorded.spec)
    assert planned(with_bigger_vms(deployment), [away]).changes_nothing
    made = planned(
        deployment, [away], PlanOptions(state_changes={away.recorded.id: DesiredState.STARTED})
    )
    assert [c.spec.id for c in made.create] == ["i0"]
    assert [u.state for u in updates(made)] == ["started"]


def test_a_stopped_instance_is_updated_and_stays_stopped():
    deployment = resolved(group())
    before = deployed(deployment, state=DesiredState.STOPPED)
    made = planned(with_bigger_vms(deployment), before)
    assert [(u.state, u.action) for u in updates(made)] == [("stopped", Action.RECREATE)]


def test_stop_hard_creates_nothing():
    deployment = resolved(group())
    change = PlanOptions(state_changes={"i0": DesiredState.DETACHED})
    made = planned(deployment, deployed(deployment), change)
    assert made.create == ()
    assert [u.state for u in updates(made)] == ["detached"]
    new = plan_of_new_instances_as(DesiredState.DETACHED)
    assert new.changes_nothing


def plan_of_new_instances_as(state):
    deployment = resolved(group())
    return planned(deployment, options=PlanOptions(state_changes={"new0": state}))


def test_restart_and_recreate_touch_the_chosen_only():
    deployment = resolved(group(instances=3))
    before = deployed(deployment)
    made = planned(deployment, before, PlanOptions(restart=frozenset({"i1"})))
    assert [(u.spec.id, u.action, u.restart) for u in updates(made)] == [
        ("i1", Action.UPDATE, True)
    ]
    made = planned(deployment, before, PlanOptions(recreate=frozenset({"i2"})))
    assert [(u.spec.id, u.action, u.restart) for u in updates(made)] == [
        ("i2", Action.RECREATE, False)
    ]


def test_an_ignored_instance_is_left_alone_unless_its_vm_is_gone():
    deployment = resolved(group())
    (before,) = deployed(deployment, ignore=True)
    changed = with_bigger_vms(deployment)
    made = planned(changed, [before], PlanOptions(recreate=frozenset({"i0"}), fix=True))
    assert made.changes_nothing
    assert [s.id for s in made.ignored] == ["i0"]
    made = planned(changed, [replace(before, found=Found.MISSING)])
    assert [c.spec.id for c in made.create] == ["i0"]
    with pytest.raises(PlacementError, match="is ignored"):
        planned(deployment, [before], PlanOptions(state_changes={"i0": DesiredState.STOPPED}))


def test_vms_that_do_not_answer_stand_in_the_way_unless_fixed():
    silent = running(instance(), found=Found.UNRESPONSIVE)
    left_alone = running(instance(ignore=True), found=Found.UNRESPONSIVE)
    fine = running(instance())
    assert unresponsive([silent, left_alone, fine], NONE) == [silent]
    assert unresponsive([silent, left_alone, fine], PlanOptions(fix=True)) == []


def test_errand_groups_come_last_and_only_with_a_vm():
    deployment = resolved(group("smoke", lifecycle="errand"), group("web"))
    assert {u.spec.group for u in updates(planned(deployment))} == {"web"}
    alive = running(instance("e", group="smoke", spec=spec("e", group="smoke")))
    made = planned(deployment, [alive])
    assert [g.group for phase in made.phases for g in phase] == ["web", "smoke"]


def test_azs_side_by_side_only_on_the_first_deploy():
    together = policy(initial_deploy_az_update_strategy="parallel")
    deployment = resolved(group(instances=2, azs=["z1", "z2"], update=together))
    first = planned(deployment, options=PlanOptions(first_deploy=True))
    assert first.phases[0][0].azs_together
    assert not planned(deployment).phases[0][0].azs_together


def test_a_new_disk_on_a_running_instance():
    deployment = resolved(group())
    before = deployed(deployment)
    bigger = resolved(group(disk=replace_disk(2048)))
    made = planned(bigger, before)
    assert [(u.disk_changes, u.action) for u in updates(made)] == [(True, Action.UPDATE)]


def replace_disk(size_mb):
    from director.model.instances import DiskSpec

    return DiskSpec(size_mb=size_mb)


def test_an_instance_nobody_looked_at_is_deleted_without_asking_its_machine():
    deployment = resolved(group(instances=0))
    recorded = instance(disks=(recorded_disk(),))
    placement = place(deployment, [recorded], {}, lambda: "x")
    made = plan(deployment, placement, [], [], COMPILED, NONE)
    (step,) = made.phases[0][0].deletes
    assert step.instance == ActualInstance(
        recorded=recorded, found=Found.UNRESPONSIVE, why="not looked at"
    )

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count

import pytest
from builders import (
    disk,
    group,
    instance,
    job,
    manual_place,
    package,
    recorded_disk,
    release,
    resolved,
    spec,
)

from director.model.errors import ErrorList, PlacementError
from director.model.instances import DesiredState
from director.model.manifest import MigratedFrom, NetworkUse
from director.plan.placement import place


def placed(deployment, recorded=(), taken=None):
    ids = count()
    return place(deployment, recorded, taken or {}, lambda: f"new{next(ids)}")


def with_disk(id, index, az=None, **changes):
    return instance(id, index, az=az, disks=(recorded_disk(id),), **changes)


def kept(placement):
    return {s.id for s in placement.specs}


def azs_of(placement):
    return Counter(s.az for s in placement.specs)


# -- AZs ----------------------------------------------------------------------------------------


def test_new_instances_are_balanced_in_the_order_of_the_azs():
    found = placed(resolved(group(instances=5, azs=["z1", "z2", "z3"])))
    assert [s.az for s in found.specs] == ["z1", "z2", "z3", "z1", "z2"]


def test_instances_with_disks_keep_their_az():
    recorded = [with_disk(f"i{n}", n, "z1") for n in range(4)]
    found = placed(resolved(group(instances=4, azs=["z1", "z2"], disk=disk())), recorded)
    assert azs_of(found) == {"z1": 4}
    assert found.surplus == ()


def test_a_disk_about_to_be_dropped_keeps_nobody_in_its_az():
    """Otherwise the deploy after the one that drops it would move the instances."""
    recorded = [with_disk(f"i{n}", n, "z1") for n in range(2)]
    found = placed(resolved(group(instances=2, azs=["z1", "z2"])), recorded)
    assert azs_of(found) == {"z1": 1, "z2": 1}


def test_instances_without_disks_are_balanced_anew():
    recorded = [instance(f"i{n}", n, az="z1") for n in range(4)]
    found = placed(resolved(group(instances=4, azs=["z1", "z2"])), recorded)
    assert azs_of(found) == {"z1": 2, "z2": 2}
    assert [i.id for i in found.surplus] == ["i2", "i3"]


def test_an_az_no_longer_used_loses_its_instances():
    recorded = [with_disk("a", 0, "z1"), with_disk("b", 1, "z2")]
    found = placed(resolved(group(instances=2, azs=["z1", "z3"])), recorded)
    assert kept(found) == {"a", "new0"}
    assert azs_of(found) == {"z1": 1, "z3": 1}
    assert [i.id for i in found.surplus] == ["b"]


def test_randomized_placement_is_the_same_each_time_and_differs_between_groups():
    groups = [group(f"g{n}", azs=["z1", "z2", "z3"]) for n in range(20)]
    deployment = resolved(*groups, features={"randomize_az_placement": True})
    assert azs_of(placed(deployment)) == azs_of(placed(deployment))
    assert len(azs_of(placed(deployment))) == 3


# -- scaling in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "instances", "gone"),
    [
        pytest.param(
            [with_disk("a", 0, "z1"), with_disk("b", 1, "z1"), with_disk("c", 2, "z2")],
            2,
            {"b"},
            id="from the most crowded AZ",
        ),
        pytest.param(
            [with_disk("a", 0, "z1"), with_disk("b", 5, "z2"), with_disk("c", 2, "z2")],
            1,
            {"b", "c"},
            id="then the highest index",
        ),
        pytest.param(
            [with_disk("a", 0, "z1"), with_disk("b", 1, "z2", bootstrap=True)],
            1,
            {"a"},
            id="the bootstrap instance last",
        ),
        pytest.param(
            [
                with_disk("a", 0, "z1", state=DesiredState.DETACHED),
                with_disk("b", 1, "z2"),
                with_disk("c", 2, "z2"),
            ],
            2,
            {"a"},
            id="the one stopped for good first, whatever its AZ",
        ),
        pytest.param(
            [
                instance("a", 0, az="z1", state=DesiredState.DETACHED),
                instance("b", 1, az="z1"),
                instance("c", 2, az="z2"),
            ],
            2,
            {"a"},
            id="without disks too",
        ),
        pytest.param(
            [with_disk("a", 0, "z1"), with_disk("b", 1, "z1", ignore=True)],
            1,
            {"a"},
            id="an ignored one never",
        ),
        pytest.param(
            [instance("a", 0, az="z1"), instance("b", 1, az="z2", bootstrap=True)],
            1,
            {"a"},
            id="the bootstrap instance stays without disks too",
        ),
    ],
)
def test_scaling_in(recorded, instances, gone):
    wanted = group(
        instances=instances,
        azs=["z1", "z2"],
        disk=disk() if any(one.disks for one in recorded) else None,
    )
    found = placed(resolved(wanted), recorded)
    assert {i.id for i in found.surplus} == gone


def test_a_group_that_is_gone_is_surplus():
    found = placed(resolved(group()), [instance("x", group="old")])
    assert [i.id for i in found.surplus] == ["x"]


# -- index and bootstrap ------------------------------------------------------------------------


def test_a_new_instance_gets_the_lowest_unused_index():
    recorded = [with_disk("a", 0), with_disk("c", 2), with_disk("d", 4)]
    found = placed(resolved(group(instances=5)), recorded)
    assert {s.id: s.index for s in found.specs} == {"a": 0, "new0": 1, "c": 2, "new1": 3, "d": 4}


def test_the_index_of_one_about_to_go_is_still_in_use():
    recorded = [instance("a", 0, az="z9")]
    found = placed(resolved(group(azs=["z1"])), recorded)
    assert [s.index for s in found.specs] == [1]


@pytest.mark.parametrize(
    ("recorded", "leader"),
    [
        pytest.param([], "new0", id="a new group: the lowest index"),
        pytest.param(
            [with_disk("a", 0), with_disk("b", 1, bootstrap=True)], "b", id="kept while it exists"
        ),
        pytest.param([with_disk("a", 3), with_disk("b", 1)], "b", id="else the lowest index"),
        pytest.param(
            [with_disk("a", 0, ignore=True), with_disk("b", 1)], "b", id="not an ignored one"
        ),
        pytest.param([with_disk("a", 0, ignore=True)], "new0", id="rather a new one"),
        pytest.param(
            [with_disk("a", 0, ignore=True, bootstrap=True), with_disk("b", 1)],
            "a",
            id="an ignored one that is",
        ),
    ],
)
def test_exactly_one_bootstrap_instance(recorded, leader):
    found = placed(resolved(group(instances=2)), recorded)
    assert [s.id for s in found.specs if s.bootstrap] == [leader]
    assert found.specs[0].id == leader


# -- states, ignored ----------------------------------------------------------------------------


def test_desired_states_survive():
    recorded = [
        instance("a", 0, state=DesiredState.STOPPED),
        instance("b", 1, state=DesiredState.DETACHED, vm=None),
    ]
    found = placed(resolved(group(instances=3)), recorded)
    assert found.states == {
        "a": DesiredState.STOPPED,
        "b": DesiredState.DETACHED,
        "new0": DesiredState.STARTED,
    }


def test_an_ignored_instance_keeps_its_networks():
    old = manual_place("10.99.0.5")
    recorded = instance("a", ignore=True, spec=spec("a", networks=(old,)))
    assert placed(resolved(group()), [recorded]).specs[0].networks == (old,)


@pytest.mark.parametrize(
    ("deployment", "recorded", "message"),
    [
        pytest.param(
            resolved(group("other")), [instance("a", ignore=True)], "would be deleted", id="group"
        ),
        pytest.param(
            resolved(group(instances=1)),
            [instance("a", ignore=True), instance("b", 1, ignore=True)],
            "has 2 ignored instances",
            id="too many",
        ),
        pytest.param(
            resolved(group(azs=["z1"])),
            [instance("a", az="z2", ignore=True)],
            "no longer uses",
            id="its AZ",
        ),
    ],
)
def test_ignored_instances_are_never_deleted(deployment, recorded, message):
    with pytest.raises(PlacementError, match=message) as caught:
        placed(deployment, recorded)
    assert caught.value.fix


# -- migrated_from ------------------------------------------------------------------------------


def test_a_renamed_group_keeps_instances_disks_and_addresses():
    recorded = [
        with_disk("a", 3, group="old", bootstrap=True),
        with_disk("b", 7, group="old"),
    ]
    taken = {("default", "10.0.0.50"): "a", ("default", "10.0.0.60"): "b"}
    new = group("new", 2, migrated_from=(MigratedFrom(name="old"),))
    found = placed(resolved(new), recorded, taken)
    assert {s.id: (s.index, s.networks[0].ip, s.bootstrap) for s in found.specs} == {
        "a": (0, "10.0.0.50", True),
        "b": (1, "10.0.0.60", False),
    }
    assert found.surplus == ()


def test_two_groups_become_one():
    recorded = [
        with_disk("a", 0, group="x", bootstrap=True),
        with_disk("b", 0, group="y", bootstrap=True),
        with_disk("c", 0, group="new"),
    ]
    new = group("new", 3, migrated_from=(MigratedFrom(name="x"), MigratedFrom(name="y")))
    found = placed(resolved(new), recorded)
    assert {s.id: s.index for s in found.specs} == {"c": 0, "a": 1, "b": 2}
    assert [s.id for s in found.specs if s.bootstrap] == ["a"]


def test_migration_gives_an_az_to_instances_without():
    recorded = [with_disk("a", 0, group="old")]
    new = group("new", azs=["z1"], migrated_from=(MigratedFrom(name="old", az="z1"),))
    assert [(s.id, s.az) for s in placed(resolved(new), recorded).specs] == [("a", "z1")]


@pytest.mark.parametrize(
    ("groups", "recorded", "message"),
    [
        pytest.param(
            [group("new", migrated_from=(MigratedFrom(name="old"),)), group("old")],
            [],
            "which the manifest still has",
            id="still there",
        ),
        pytest.param(
            [group(n, migrated_from=(MigratedFrom(name="old"),)) for n in ("n1", "n2")],
            [],
            "both take over 'old'",
            id="twice",
        ),
        pytest.param(
            [group("new", azs=["z1"], migrated_from=(MigratedFrom(name="old"),))],
            [instance("a", group="old")],
            "gives it none",
            id="no AZ",
        ),
        pytest.param(
            [group("new", azs=["z1"], migrated_from=(MigratedFrom(name="old", az="z1"),))],
            [instance("a", group="old", az="z2")],
            "not in 'z1'",
            id="another AZ",
        ),
    ],
)
def test_migrations_that_cannot_be(groups, recorded, message):
    with pytest.raises(PlacementError, match=message):
        placed(resolved(*groups), recorded)


# -- the rest of a spec -------------------------------------------------------------------------


def test_errand_groups_have_specs_but_are_planned_only_with_a_vm():
    found = placed(resolved(group("smoke", lifecycle="errand")))
    assert found.specs == ()
    assert [s.group for s in found.errands] == ["smoke"]
    alive = placed(resolved(group("smoke", lifecycle="errand")), [instance("e", group="smoke")])
    assert [s.id for s in alive.specs] == [s.id for s in alive.errands] == ["e"]


def test_packages_are_what_the_jobs_name_with_what_they_were_compiled_against():
    content = release(
        jobs=[job("a", "server", "tool"), job("b", "tool")],
        packages=[package("server", "lib"), package("lib"), package("tool")],
    )
    found = placed(resolved(group(releases=[content]))).specs[0]
    assert [(p.name, p.dependency_key) for p in found.packages] == [
        ("server", "lib/lib-fp"),
        ("tool", ""),
    ]
    assert [j.templates for j in found.jobs] == ["", ""]


def test_cloud_properties_are_those_of_the_az():
    made = group(instances=2, azs=["z1", "z2"])
    made = replace(made, cloud_properties={"z1": {"zone": "a"}, "z2": {"zone": "((b))"}})
    assert [s.cloud_properties for s in placed(resolved(made)).specs] == [
        {"zone": "a"},
        {"zone": "((b))"},
    ]


def test_the_problems_of_all_groups_are_told_at_once():
    nowhere = NetworkUse(name="default", static_ips=("1.2.3.4",))
    groups = [group(n) for n in ("a", "b")]
    groups = [replace(g, networks=((nowhere, g.networks[0][1]),)) for g in groups]
    with pytest.raises(ErrorList) as caught:
        placed(resolved(*groups))
    assert len(caught.value.errors) == 2


def test_no_instances_at_all():
    found = placed(resolved(group(instances=0)), [instance("a")])
    assert found.specs == ()
    assert [i.id for i in found.surplus] == ["a"]

from __future__ import annotations

import pytest
from builders import policy, spec

from director.model.amounts import Amount
from director.plan.options import PlanOptions
from director.plan.rollout import phases, policy_for, waves
from director.plan.steps import Action, GroupRollout, UpdateInstance, Wave


def update(n, az="z1", action=Action.UPDATE):
    return UpdateInstance(spec=spec(f"i{n}", index=n, az=az), before=None, action=action, why=())


def shape(found):
    """Each wave as AZ, size, width and whether it is the canaries'."""
    return [(w.az, len(w.updates), w.width, w.canary) for w in found]


@pytest.mark.parametrize(
    ("counts", "canaries", "in_flight", "expected"),
    [
        pytest.param({"z1": 3}, 1, 2, [("z1", 1, 1, True), ("z1", 2, 2, False)], id="plain"),
        pytest.param({"z1": 3}, 0, 2, [("z1", 3, 2, False)], id="no canaries"),
        pytest.param({"z1": 2}, 5, 9, [("z1", 2, 2, True)], id="no more canaries than instances"),
        pytest.param({"z1": 4}, 4, 1, [("z1", 4, 1, True)], id="canaries are in flight too"),
        pytest.param(
            {"z1": 2, "z2": 2},
            1,
            1,
            [("z1", 1, 1, True), ("z1", 1, 1, False), ("z2", 2, 1, False)],
            id="canaries in the first AZ only",
        ),
        pytest.param({"z1": 3}, 0, "50%", [("z1", 3, 1, False)], id="half of 3 is 1"),
        pytest.param({"z1": 3}, 0, "10%", [("z1", 3, 1, False)], id="never none in flight"),
        pytest.param({"z1": 3}, "10%", 2, [("z1", 3, 2, False)], id="canaries may be none"),
        pytest.param(
            {"z1": 4, "z2": 2},
            0,
            "50%",
            [("z1", 4, 2, False), ("z2", 2, 1, False)],
            id="a percentage of those to update in the AZ",
        ),
        pytest.param({}, 1, 1, [], id="nothing"),
    ],
)
def test_waves(counts, canaries, in_flight, expected):
    updates = [update(n, az) for az, count in counts.items() for n in range(count)]
    assert shape(waves(updates, policy(canaries, in_flight))) == expected


def test_azs_come_in_the_order_of_the_instances():
    updates = [update(0, "z2"), update(1, "z1"), update(2, "z2")]
    assert [w.az for w in waves(updates, policy(0, 1))] == ["z2", "z1"]


def test_an_instance_that_only_gets_records_is_no_canary():
    updates = [update(0, action=Action.RECORD), update(1, "z2"), update(2, "z2")]
    found = waves(updates, policy(1, 1))
    assert shape(found) == [("z1", 1, 1, False), ("z2", 1, 1, True), ("z2", 1, 1, False)]
    assert [u.canary for w in found for u in w.updates] == [False, True, False]


def test_flags_go_over_the_policy():
    given = PlanOptions(canaries=Amount(0), max_in_flight=Amount(50, percent=True))
    found = policy_for(policy(3, 3), given)
    assert (found.canaries, found.max_in_flight) == (Amount(0), Amount(50, percent=True))
    assert policy_for(policy(3, 3), PlanOptions()) == policy(3, 3)


def rollout(name, *, serial, busy=True):
    work = (Wave(az=None, updates=(update(0),), width=1),) if busy else ()
    return GroupRollout(group=name, policy=policy(serial=serial), waves=work)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param([("a", True), ("b", True)], [["a"], ["b"]], id="serial"),
        pytest.param([("a", False), ("b", False)], [["a", "b"]], id="side by side"),
        pytest.param(
            [("a", True), ("b", False), ("c", False), ("d", True), ("e", False)],
            [["a"], ["b", "c"], ["d"], ["e"]],
            id="runs",
        ),
        pytest.param([("a", False), ("B", True), ("c", False)], [["a"], ["c"]], id="idle parts"),
        pytest.param([("A", True)], [], id="nothing to do"),
    ],
)
def test_phases(groups, expected):
    made = [rollout(name, serial=serial, busy=name.islower()) for name, serial in groups]
    assert [[g.group for g in phase] for phase in phases(made)] == expected

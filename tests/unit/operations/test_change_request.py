"""A deploy task's arguments: which instances, how fast, and what is skipped."""

from __future__ import annotations

from typing import Any

import pytest
from builders import applied, running, spec

from director.model.amounts import Amount
from director.model.errors import BadRequest, DirectorError, InstanceInvalidIndex, InstanceNotFound
from director.model.instances import ActualInstance, DesiredState
from director.model.tasks import Task, TaskState
from director.operations.change_request import (
    DeployRequest,
    plan_options,
    read_request,
    select_instances,
)

UUID = "00000000-0000-4000-8000-00000000000a"
ACTUAL = [
    running(spec(UUID)),
    running(spec("web-1", group="web", index=1)),
    running(spec("redis-1", index=1)),
]


def request(**args: Any) -> DeployRequest:
    task = Task(
        id=1,
        type="update_deployment",
        state=TaskState.PROCESSING,
        description="",
        deployment="dep",
        args={"manifest": "m", **args},
        owner="o",
    )
    return read_request(task)


def options(actual: list[ActualInstance] = ACTUAL, **args: Any) -> Any:
    return plan_options(request(**args), actual, first_deploy=False)


def test_a_plain_deploy_asks_for_nothing_special() -> None:
    asked = request(cloud_config_ids=[3, "4"])
    assert (asked.deployment, asked.manifest, asked.change) == ("dep", "m", None)
    assert (asked.recreate, asked.fix, asked.dry_run) == (False, False, False)
    assert (asked.canaries, asked.max_in_flight) == (None, None)
    assert asked.cloud_config_ids == (3, 4)
    planned = options()
    assert (planned.recreate, planned.restart, planned.state_changes) == (set(), set(), {})


@pytest.mark.parametrize(
    ("value", "amount"), [("2", Amount.parse(2)), ("50%", Amount.parse("50%")), ("", None)]
)
def test_amounts(value: str, amount: Amount | None) -> None:
    planned = options(options={"canaries": value, "max_in_flight": value})
    assert (planned.canaries, planned.max_in_flight) == (amount, amount)


@pytest.mark.parametrize("value", ["x", "-1", [1]])
def test_wrong_amounts_are_refused_by_name(value: Any) -> None:
    with pytest.raises(BadRequest, match="'max_in_flight'"):
        request(options={"max_in_flight": value})


@pytest.mark.parametrize(
    ("value", "skipped"),
    [
        (None, []),
        ("", []),
        ("*", [UUID, "web-1", "redis-1"]),
        (True, [UUID, "web-1", "redis-1"]),
        ("redis", [UUID, "redis-1"]),
        (f"web/1, redis/{UUID}", [UUID, "web-1"]),
        ("redis/7,we", []),
    ],
)
def test_where_drain_is_skipped(value: Any, skipped: list[str]) -> None:
    skip = request(options={"skip_drain": value}).skip_drain
    assert [a.recorded.id for a in ACTUAL if skip(a.recorded)] == skipped


@pytest.mark.parametrize(
    ("group", "id", "chosen"),
    [
        ("*", None, [UUID, "web-1", "redis-1"]),
        ("redis", None, [UUID, "redis-1"]),
        ("redis", "1", ["redis-1"]),
        ("redis", UUID, [UUID]),
        ("*", "1", ["web-1", "redis-1"]),
    ],
)
def test_which_instances_are_meant(group: str, id: str | None, chosen: list[str]) -> None:
    recorded = [a.recorded for a in ACTUAL]
    assert [i.id for i in select_instances(recorded, group, id)] == chosen


@pytest.mark.parametrize(
    ("group", "id", "error", "words"),
    [
        ("redis", "x y", InstanceInvalidIndex, "'x y'"),
        ("redis", "7", InstanceNotFound, "'redis/7' doesn't exist"),
        ("db", None, InstanceNotFound, "there are: 'redis/0', 'redis/1', 'web/1'"),
        ("web", UUID, InstanceNotFound, f"'web/{UUID}'"),
    ],
)
def test_what_is_not_there_is_named(
    group: str, id: str | None, error: type[DirectorError], words: str
) -> None:
    with pytest.raises(error) as caught:
        select_instances([a.recorded for a in ACTUAL], group, id)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"state": "stopped"}, {"state_changes": {"redis-1": DesiredState.STOPPED}}),
        ({"state": "detached"}, {"state_changes": {"redis-1": DesiredState.DETACHED}}),
        (
            {"state": "restart"},
            {"state_changes": {"redis-1": DesiredState.STARTED}, "restart": {"redis-1"}},
        ),
        (
            {"state": "recreate"},
            {"state_changes": {"redis-1": DesiredState.STARTED}, "recreate": {"redis-1"}},
        ),
    ],
)
def test_changes_of_state(change: dict[str, str], expected: dict[str, Any]) -> None:
    asked = request(change={**change, "group": "redis", "id": 1})
    assert asked.manifest is None, "the deployed manifest is used"
    planned = options(change={**change, "group": "redis", "id": "1"})
    found = (planned.state_changes, planned.restart, planned.recreate)
    keys = ("state_changes", "restart", "recreate")
    assert found == tuple(expected.get(key, {} if key == keys[0] else set()) for key in keys)


def test_an_unknown_change_is_refused() -> None:
    with pytest.raises(BadRequest, match="'paused'"):
        request(change={"state": "paused"})


def test_recreate_means_all_that_is_there() -> None:
    planned = options([running(applied(spec()))], options={"recreate": True, "fix": True})
    assert (planned.recreate, planned.fix) == ({"i0"}, True)

"""What an operator reads before anything is done."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count

import pytest
from builders import applied, digests, disk, group, policy, resolved, running, stemcell

from director.model.amounts import Amount
from director.model.instances import DesiredState, Found
from director.plan.describe import WIDTH, describe, describe_json
from director.plan.placement import place
from director.plan.planner import PlanOptions, plan

SECRET = "hunter2-very-secret"


def ids():
    return (f"{n:08x}-1111-4222-8333-444455556666" for n in count(0x1F0C3A2B)).__next__


def planned(deployment, actual=(), options=None, jobs=None, compiled=()):
    placement = place(deployment, [a.recorded for a in actual], {}, ids())
    specs = [replace(s, jobs=jobs or s.jobs) for s in placement.specs]
    return plan(deployment, placement, specs, actual, compiled, options or PlanOptions())


def deployed(deployment, jobs):
    placement = place(deployment, [], {}, ids())
    return [running(applied(replace(s, jobs=jobs))) for s in placement.specs]


def first_deploy():
    deployment = resolved(
        group(instances=3, azs=["z1", "z2"], disk=disk()),
        group("web", 2, update=policy(serial=False)),
        group("worker", 1, update=policy(serial=False, max_in_flight="50%")),
        group("smoke", lifecycle="errand"),
    )
    return planned(deployment, options=PlanOptions(first_deploy=True))


def all_kinds():
    """One deploy with something of everything."""
    properties = {"redis.port": "d1", "redis.password": "d1"}
    old_jobs = (digests(properties=properties),)
    new_jobs = (digests(properties={"redis.port": "d2", "redis.password": "d2"}, templates="t2"),)
    old = resolved(
        group(instances=4, azs=["z1", "z2"], disk=disk()),
        group("web", 2),
        group("legacy-billing-service"),
        group("labels"),
        group("quiet", 3),
    )
    actual = deployed(old, old_jobs)
    by_group = {}
    for one in actual:
        by_group.setdefault(one.recorded.group, []).append(one)
    new = resolved(
        group(
            instances=3,
            azs=["z1", "z2"],
            disk=disk(2048),
            cloud_properties={"memory": 1024, "user_data": f"(({SECRET}))"},
            env={"bosh": {"password": SECRET}},
            stemcell=stemcell("2"),
        ),
        group("web", 2),
        group("labels", tags={"team": SECRET}),
        group("quiet", 3),
    )
    lost, stopping = by_group["web"]
    silent = by_group["quiet"][0]
    actual = [
        replace(a, found=Found.MISSING, why="VM 'vm-1' is gone") if a is lost else a for a in actual
    ]
    actual = [
        replace(a, recorded=replace(a.recorded, ignore=True)) if a is silent else a for a in actual
    ]
    options = PlanOptions(
        state_changes={stopping.recorded.id: DesiredState.DETACHED},
        max_in_flight=Amount(50, percent=True),
    )
    placement = place(new, [a.recorded for a in actual], {}, ids())
    specs = [replace(s, jobs=new_jobs if s.group == "redis" else old_jobs) for s in placement.specs]
    return plan(new, placement, specs, actual, (), options)


def nothing():
    jobs = (digests(),)
    deployment = resolved(group(instances=3))
    from director.plan.compile_order import compiled_key

    key = compiled_key(deployment.groups[0].jobs[0].release, "redis-server", stemcell())
    return planned(deployment, deployed(deployment, jobs), jobs=jobs, compiled={key})


def long_names():
    name = "a-group-with-quite-a-long-name-as-operators-like-them"
    return planned(resolved(group(name, 2, azs=["europe-west-1b"])))


PLANS = {
    "first_deploy": first_deploy,
    "all_kinds": all_kinds,
    "nothing": nothing,
    "long_names": long_names,
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_as_text(name, golden):
    text = describe(PLANS[name]())
    assert all(len(line) <= WIDTH for line in text.splitlines())
    golden(f"plans/{name}.txt", text)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_as_json(name, golden):
    golden(f"plans/{name}.json", json.dumps(describe_json(PLANS[name]()), indent=1) + "\n")


def test_no_secret_is_shown():
    made = all_kinds()
    assert SECRET not in describe(made)
    assert SECRET not in json.dumps(describe_json(made))

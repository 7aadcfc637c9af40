"""What steps of one run share: specs that become complete, bundles, and when to stop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import digests, manual_place, spec
from instance_bench import InstanceBench

from director.execute.rollout import spec_digest, vm_shape
from director.execute.stage import Stage
from director.model.errors import CompileError, LockLost, MachineError
from director.model.events import Progress, ProgressState

ROAMING = spec("i0", networks=(manual_place(None, name="cloud", type="dynamic"),))  # type: ignore[arg-type]


def test_addresses_the_cloud_picked_are_rendered_once(bench: InstanceBench) -> None:
    asked: list[set[str]] = []

    def rerender(specs):  # type: ignore[no-untyped-def]
        asked.append(set(specs))
        done = [replace(s, jobs=(digests(templates=str(s.address)),)) for s in specs.values()]
        return done, {s.id: ("files",) for s in done}

    fixed = spec("i1")
    rollout = bench.rollout(ROAMING, fixed, rerender=rerender)
    for _ in range(2):
        rollout.learn_addresses({ROAMING.id: {"cloud": "10.9.0.4"}, fixed.id: {}})
    assert asked == [{"i0", "i1"}], "everyone sees the address, and nobody renders for nothing"
    assert rollout.specs[ROAMING.id].address == "10.9.0.4"
    assert rollout.specs[ROAMING.id].jobs[0].templates == "10.9.0.4"
    assert set(rollout.rendered) == {"i0", "i1"}


def test_a_lost_lock_stops_the_run(bench: InstanceBench) -> None:
    bench.rollout().checkpoint()
    with pytest.raises(LockLost, match="'dep'"):
        bench.rollout(held=lambda: False).checkpoint()


def test_a_bundle_names_the_instance_and_needs_what_is_compiled(bench: InstanceBench) -> None:
    package = bench.compiled("a")
    wanted = spec(az="z1", packages=(package,))
    bundle = bench.rollout(wanted).bundle(wanted)
    assert bundle.instance == {
        "id": "i0",
        "name": "redis",
        "az": "z1",
        "deployment": "dep",
        "index": "0",
    }
    assert [p.name for p in bundle.packages] == ["a"]
    with bundle.packages[0].open() as stream:
        assert stream.read(2) == b"\x1f\x8b"
    with pytest.raises(CompileError, match="'b' of release 'r/1' is not compiled"):
        bench.rollout().bundle(spec(packages=(replace(package, name="b"),)))


def test_the_digest_tells_what_is_installed_and_nothing_else() -> None:
    one = spec()
    same = replace(one, tags={"a": "b"}, index=3, env={"x": 1})
    other = replace(one, jobs=(digests(templates="t2"),))
    assert spec_digest(one) == spec_digest(same) != spec_digest(other)
    assert spec_digest(vm_shape(one)) == spec_digest(vm_shape(other))


def test_no_failure_of_a_step_goes_unreported() -> None:
    told: list[Progress] = []
    stage = Stage(told.append, "Updating", total=2, tags=("redis",), now=lambda: 7.9)
    with stage.track("one") as step:
        step.status("half", 50)
        step.status("more")
    with pytest.raises(MachineError), stage.track("two"):
        raise MachineError("it broke")
    assert [(p.task, p.index, p.state, p.progress) for p in told] == [
        ("one", 1, ProgressState.STARTED, 0),
        ("one", 1, ProgressState.IN_PROGRESS, 50),
        ("one", 1, ProgressState.IN_PROGRESS, 60),
        ("one", 1, ProgressState.FINISHED, 100),
        ("two", 2, ProgressState.STARTED, 0),
        ("two", 2, ProgressState.FAILED, 100),
    ]
    assert {(p.stage, p.total, p.tags, p.time) for p in told} == {("Updating", 2, ("redis",), 7)}
    assert told[-1].data == {"error": "it broke"}

"""Packages compiled: in order, on machines that go again, each once; a failure stops the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import manual_place
from instance_bench import InstanceBench
from worlds import little_release

from director.execute.compile import (
    CompilationSite,
    compilation_owner,
    compile_packages,
    reserved_slots,
)
from director.model.errors import CompileError, NetworkError, TaskCancelled
from director.model.events import ProgressState
from director.model.records import AddressRecord
from director.model.release import Release, dependency_key
from director.plan.steps import CompilePackage


def steps(bench: InstanceBench, release: Release, *names: str) -> list[CompilePackage]:
    (stemcell,) = bench.lab.world.store.stemcells.list()
    return [
        CompilePackage(
            release=release,
            package=release.packages[name],
            stemcell=stemcell,
            dependency_key=dependency_key(release, name),
        )
        for name in names
    ]


def compile_them(
    bench: InstanceBench, wanted: Sequence[CompilePackage], *, workers: int = 1, **changes: Any
) -> None:
    slots = tuple((manual_place(f"10.0.0.{9 + n}"),) for n in range(workers))
    copies = {step.stemcell: step.stemcell for step in wanted}
    site = CompilationSite(slots=slots, stemcells=copies, cloud_properties={}, env={}, reuse=True)
    compile_packages(
        bench.lab.world,
        bench.heard.run(),
        deployment="dep",
        steps=wanted,
        site=replace(site, **changes.pop("site", {})),
        package_lock=bench.rollout().package_lock,
        checkpoint=changes.pop("checkpoint", lambda: None),
    )


def compiled(bench: InstanceBench) -> set[str]:
    return {package.name for package in bench.lab.world.store.releases.all_compiled()}


def finished(bench: InstanceBench) -> list[str]:
    return [line.task for line in bench.heard.progress if line.state is ProgressState.FINISHED]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_needed_comes_first(bench: InstanceBench, workers: int) -> None:
    compile_them(bench, steps(bench, bench.release, "b", "a"), workers=workers)
    assert finished(bench) == ["a/a1", "b/b1"]
    assert compiled(bench) == {"a", "b"}
    assert bench.lab.cpi.vms == {}
    assert bench.lab.world.store.vms.list() == []


@pytest.mark.parametrize(("reuse", "vms"), [(True, 1), (False, 2)])
def test_machines_are_used_again_if_they_may_be(
    bench: InstanceBench, reuse: bool, vms: int
) -> None:
    compile_them(bench, steps(bench, bench.release, "a", "b"), site={"reuse": reuse})
    assert len(bench.lab.cpi.calls("create_vm")) == vms
    assert all(machine.calls[-1] == "close" for machine in bench.lab.machines.values())


def test_what_another_deploy_compiled_meanwhile_costs_no_machine(bench: InstanceBench) -> None:
    wanted = steps(bench, bench.release, "a", "b")
    compile_them(bench, wanted)
    bench.lab.cpi._calls.clear()
    compile_them(bench, wanted)
    assert bench.lab.cpi.calls("create_vm") == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_stops_the_rest_and_leaves_no_machine(bench: InstanceBench, workers: int) -> None:
    broken = little_release(bench.lab.world, "2", packaging="echo no compiler >&2\nexit 3\n")
    with pytest.raises(CompileError) as caught:
        compile_them(bench, steps(bench, broken, "a", "b"), workers=workers)
    assert caught.value.what.startswith("package 'a/a2' of release 'r/2' did not compile for 's/1'")
    assert "exit code 3" in caught.value.what
    assert "no compiler" in caught.value.what
    assert caught.value.fix
    assert (finished(bench), compiled(bench), bench.lab.cpi.vms) == ([], set(), {})


def test_a_package_without_source_is_named(bench: InstanceBench) -> None:
    a = replace(bench.release.packages["a"], blob=None)
    release = replace(bench.release, packages={**bench.release.packages, "a": a})
    with pytest.raises(CompileError, match="'a/a1' of release 'r/1' has no source"):
        compile_them(bench, steps(bench, release, "a"))


def test_a_cancelled_task_compiles_no_more(bench: InstanceBench) -> None:
    looks = iter([None, TaskCancelled("stop")])

    def checkpoint() -> None:
        if (error := next(looks)) is not None:
            raise error

    with pytest.raises(TaskCancelled):
        compile_them(bench, steps(bench, bench.release, "a", "b"), checkpoint=checkpoint)
    assert (compiled(bench), bench.lab.cpi.vms) == ({"a"}, {})


def test_workers_hold_their_addresses_only_while_they_work(bench: InstanceBench) -> None:
    addresses = bench.lab.world.store.addresses
    slots = [(manual_place("10.0.0.9"),), (manual_place(None, type="dynamic"),)]  # type: ignore[arg-type]
    with reserved_slots(bench.lab.world, "dep", slots):
        (row,) = addresses.all()
        assert (row.ip, row.owner) == ("10.0.0.9", compilation_owner("dep"))
    assert addresses.all() == []
    addresses.reserve(
        [AddressRecord(network="default", ip="10.0.0.9", deployment="dep", owner="other")]
    )
    with pytest.raises(NetworkError), reserved_slots(bench.lab.world, "dep", slots):
        pass

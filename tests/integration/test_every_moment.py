"""A director that dies at any one call it makes to cloud, store or machine: the next converges.

The cloud and the machines are in memory, the store is real. Death is thorough: after the fatal
call nothing the dead director tries, such as cleaning up, reaches anything any more. Every place
in the director's code that makes a call is tried twice: dying before its first call acted, and
after its last one did. What one place repeats in between, for other instances, is left out.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import islice
from types import FrameType
from typing import Any

import pytest
from worlds import (
    MemoryWorld,
    Snapshot,
    fast_directory,
    manifest,
    memory_world,
    restore,
    run_task,
    snapshot,
)

from director.execute.world import World
from director.operations.delete_deployment import delete_deployment
from director.operations.deploy import deploy

FIRST = manifest(instances=2, env=1, disk=10)
CHANGED = manifest(instances=3, env=2, disk=20)

Place = tuple[str, ...]
"""A method and the last lines of the director's code that led to its call, innermost first."""

DEPTH = 3


class Killed(BaseException):
    """The process is no more."""


@dataclass(frozen=True)
class Moment:
    """The ``nth`` call made from one place."""

    place: Place
    nth: int


class Fate:
    """Counts calls by their place, and ends the process at the given moment."""

    def __init__(self, moment: Moment | None = None, *, after: bool = False) -> None:
        self.calls: Counter[Place] = Counter()
        self.dead = False
        self._moment = moment
        self._after = after
        self._lock = threading.Lock()

    def around(self, method: str, call: Callable[[], Any]) -> Any:
        if self.dead:
            raise Killed
        place = (method, *islice(_director_lines(), DEPTH))
        with self._lock:
            self.calls[place] += 1
            fatal = self._moment == Moment(place, self.calls[place])
            self.dead = self.dead or (fatal and not self._after)
        if not fatal:
            return call()
        if self._after:
            call()
            self.dead = True
        raise Killed


def _director_lines() -> Iterator[str]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if "/director/" in frame.f_code.co_filename:
            yield f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back


class Mortal:
    """Lets every call of ``target`` suffer its fate."""

    def __init__(self, target: Any, fate: Fate) -> None:
        self._target = target
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value
        method = f"{type(self._target).__name__}.{name}"
        return lambda *args, **kwargs: self._fate.around(method, lambda: value(*args, **kwargs))


def mortal(world: World, fate: Fate) -> World:
    """Return the world as a director sees it that will die."""
    repositories = {
        field.name: Mortal(getattr(world.store, field.name), fate)
        for field in fields(world.store)
        if field.name in ("instances", "vms", "disks", "addresses", "deployments", "releases")
    }
    return replace(
        world,
        store=replace(world.store, **repositories),
        cpi=lambda name: Mortal(world.cpi(name), fate),  # type: ignore[arg-type,return-value]
        connect=lambda vm, c: Mortal(world.connect(vm, c), fate),  # type: ignore[arg-type,return-value]
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[MemoryWorld]:
    with fast_directory() as directory, memory_world(directory) as lab:
        yield lab


@pytest.fixture(scope="module")
def nothing(lab: MemoryWorld) -> Iterator[Snapshot]:
    """Before the first deploy."""
    with snapshot(lab) as saved:
        yield saved


@pytest.fixture(scope="module")
def deployed(lab: MemoryWorld, nothing: Snapshot) -> Iterator[Snapshot]:
    """After a deploy, but with nothing compiled."""
    restore(lab, nothing)
    lab.run(deploy, manifest=FIRST, options={})
    for key in lab.world.store.releases.compiled_keys():
        lab.world.store.releases.delete_compiled(*key)
    with snapshot(lab) as saved:
        yield saved


def deploy_changed(world: World) -> None:
    run_task(world, deploy, manifest=CHANGED, options={})


def delete(world: World) -> None:
    run_task(world, delete_deployment, name="d")


def moments_of(
    lab: MemoryWorld, start: Snapshot, operation: Callable[[World], None], *, after: bool
) -> list[Moment]:
    """Return when a director that does ``operation`` is to die: one moment for each place."""
    restore(lab, start)
    fate = Fate()
    operation(mortal(lab.world, fate))
    return [Moment(place, count if after else 1) for place, count in fate.calls.items()]


def die(
    lab: MemoryWorld,
    start: Snapshot,
    operation: Callable[[World], None],
    moment: Moment,
    *,
    after: bool,
) -> bool:
    """Do ``operation`` from ``start``, dying at a moment; False if that never came, as may be
    where threads share the work otherwise than before."""
    restore(lab, start)
    fate = Fate(moment, after=after)
    with suppress(Killed):
        operation(mortal(lab.world, fate))
    return fate.dead


def assert_converged(lab: MemoryWorld, *, instances: int, disk_mb: int) -> None:
    store = lab.world.store
    recorded = store.instances.list("d")
    assert len(recorded) == instances
    assert not any(instance.dirty for instance in recorded)
    vms = {instance.vm.cid for instance in recorded if instance.vm}
    assert len(vms) == instances
    assert set(lab.cpi.vms) == vms, "a VM leaked, or is missing"
    active = {disk.cid for instance in recorded if (disk := instance.active_disk)}
    assert all(i.active_disk and i.active_disk.size_mb == disk_mb for i in recorded)
    orphaned = {disk.cid for disk in store.disks.orphans()}
    assert set(lab.cpi.disks) == active | orphaned, "a disk leaked, or is missing"
    for instance in recorded:
        assert instance.vm is not None
        assert instance.vm.cid is not None
        assert instance.active_disk is not None
        assert list(lab.cpi.get_disks(instance.vm.cid)) == [instance.active_disk.cid]
    addresses = [row.ip for row in store.addresses.all()]
    assert len(addresses) == len(set(addresses)) == instances
    assert all(vm.instance_id for vm in store.vms.list("d"))


def assert_deleted(lab: MemoryWorld) -> None:
    store = lab.world.store
    assert store.deployments.get("d") is None
    assert lab.cpi.vms == {}
    assert store.instances.list("d") == []
    assert store.addresses.all() == []
    assert {disk.cid for disk in store.disks.orphans()} == set(lab.cpi.disks)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("start", ["nothing", "deployed"])
def test_dying_in_a_deploy(
    lab: MemoryWorld, start: str, after: bool, request: pytest.FixtureRequest
) -> None:
    saved: Snapshot = request.getfixturevalue(start)
    moments = moments_of(lab, saved, deploy_changed, after=after)
    died = 0
    for moment in moments:
        died += die(lab, saved, deploy_changed, moment, after=after)
        deploy_changed(lab.world)
        assert_converged(lab, instances=3, disk_mb=20)
    assert died >= 0.9 * len(moments) > 40
    delete(lab.world)
    assert_deleted(lab)


@pytest.mark.parametrize(("way", "after"), [("resize_disks", False), ("update_disks", True)])
def test_dying_while_a_disk_grows_in_place(
    lab: MemoryWorld, deployed: Snapshot, way: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "world", replace(lab.world, **{way: True}))  # type: ignore[arg-type]
    larger = manifest(instances=2, env=1, disk=20)

    def deploy_larger(world: World) -> None:
        run_task(world, deploy, manifest=larger, options={})

    restore(lab, deployed)
    disks = set(lab.cpi.disks)
    moments = moments_of(lab, deployed, deploy_larger, after=after)
    died = 0
    for moment in moments:
        died += die(lab, deployed, deploy_larger, moment, after=after)
        deploy_larger(lab.world)
        assert_converged(lab, instances=2, disk_mb=20)
        assert set(lab.cpi.disks) == disks
        assert {row["size_mb"] for row in lab.cpi.disks.values()} == {20}
        grown = [m for m in lab.machines.values() if "grow_disk" in m.calls]
        assert len(grown) == 2
    assert died >= 0.9 * len(moments) > 20


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dying_in_a_deletion(lab: MemoryWorld, deployed: Snapshot, after: bool) -> None:
    for moment in moments_of(lab, deployed, delete, after=after):
        died = die(lab, deployed, delete, moment, after=after)
        assert died, moment
        if lab.world.store.deployments.get("d") is not None:
            delete(lab.world)
        assert_deleted(lab)


def test_the_stages_of_a_deploy(lab: MemoryWorld, nothing: Snapshot) -> None:
    restore(lab, nothing)
    lab.run(deploy, manifest=FIRST, options={})
    stages = [line["stage"] for line in lab.said() if "stage" in line]
    assert list(dict.fromkeys(stages)) == [
        "Preparing deployment",
        "Compiling packages",
        "Creating missing vms",
        "Updating instance",
    ]

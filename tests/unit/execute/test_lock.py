"""A deployment's lock is one task's at a time, and never outlives its director."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from director.execute.lock import LEASE_S, deployment_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import LockBusy, TaskCancelled
from director.store.owner import this_process
from director.store.store import Store, open_store
from director.tasks.worker import make_run

ALIVE = this_process("lock-test")
DEAD = ALIVE.rsplit(":", 2)[0] + ":0:dead"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path}/d.db", tmp_path / "tasks")
    seconds = itertools.count(1000)
    yield cast(World, SimpleNamespace(store=store, now=lambda: float(next(seconds))))
    store.close()


def new_run(world: World, owner: str = ALIVE) -> TaskRun:
    store: Store = world.store
    task = store.tasks.create(type="update_deployment", description="x", owner=owner, now=1.0)
    return make_run(task, world)


def test_a_lock_is_held_and_given_back(world: World) -> None:
    run = new_run(world)
    with deployment_lock(world, run, "cf") as held:
        assert held()
        (lock,) = world.store.locks.list()
        assert (lock.name, lock.task_id, lock.owner) == ("lock:deployment:cf", run.task.id, ALIVE)
    assert world.store.locks.list() == []


def test_a_busy_lock_names_who_holds_it(world: World) -> None:
    first, second = new_run(world), new_run(world)
    with (
        deployment_lock(world, first, "cf"),
        pytest.raises(LockBusy, match=rf"locked by task {first.task.id} \('x'\)"),
        deployment_lock(world, second, "cf", wait_s=2),
    ):
        pass


def test_waiting_for_a_lock_ends_when_the_task_is_cancelled(world: World) -> None:
    first, second = new_run(world), new_run(world)
    world.store.tasks.request_cancel(second.task.id)
    with (
        deployment_lock(world, first, "cf"),
        pytest.raises(TaskCancelled),
        deployment_lock(world, second, "cf"),
    ):
        pass


@pytest.mark.parametrize("fail", [RuntimeError, KeyboardInterrupt])
def test_a_failure_gives_the_lock_back(world: World, fail: Callable[[], BaseException]) -> None:
    def work() -> None:
        with deployment_lock(world, new_run(world), "cf"):
            raise fail()

    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        work()
    assert world.store.locks.list() == []


def test_the_lock_of_a_dead_director_is_free(world: World) -> None:
    world.store.locks.acquire("lock:deployment:cf", 7, DEAD, 10_000.0, 0.0)
    with deployment_lock(world, new_run(world), "cf", wait_s=0) as held:
        assert held()


def test_a_lock_that_is_not_renewed_in_time_counts_as_lost(world: World) -> None:
    with deployment_lock(world, new_run(world), "cf") as held:
        assert [held() for _ in range(int(LEASE_S) + 2)][-1] is False

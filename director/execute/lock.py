"""Locks of a running task: an expiring row that a thread renews as long as the task goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import LockBusy
from director.plan.steps import CompilePackage
from director.store.owner import is_dead

LEASE_S = 30.0
"""How long a lock outlives a holder nobody can ask, such as one on another host."""

_LOOK_S = 0.1


@contextmanager
def deployment_lock(
    world: World, run: TaskRun, name: str, *, wait_s: float = 10
) -> Iterator[Callable[[], bool]]:
    """Hold the lock of deployment ``name``; yields a function that tells whether it is still held.

    Raises LockBusy naming the task that holds it if it is not free within ``wait_s`` seconds, and
    TaskCancelled if the task is to stop meanwhile. The lock of a director that died is free.
    """
    lock = f"lock:deployment:{name}"
    if not _acquire(world, run, lock, wait_s):
        raise _busy(world, lock, f"deployment '{name}'")
    with _held(world, run, lock) as held:
        yield held


@contextmanager
def content_lock(world: World, run: TaskRun, *, wait_s: float = 60) -> Iterator[None]:
    """Hold the lock of what was uploaded: releases, stemcells and the blobs they share.

    Whoever adds a row that names a blob holds it, and whoever deletes blobs no row names. Raises
    LockBusy if it is not free within ``wait_s`` seconds.
    """
    lock = "lock:release:all"
    if not _acquire(world, run, lock, wait_s):
        raise _busy(world, lock, "the store of releases and stemcells")
    with _held(world, run, lock):
        yield


@contextmanager
def package_lock(world: World, run: TaskRun, step: CompilePackage) -> Iterator[None]:
    """Hold the lock of compiling one package for one stemcell, so that two deploys share the work.

    Waits as long as another task compiles it; raises TaskCancelled if this one is to stop.
    """
    stemcell = f"{step.stemcell.operating_system}/{step.stemcell.version}"
    lock = f"lock:compile:{step.package.name}/{step.package.fingerprint}:{stemcell}"
    _acquire(world, run, lock, None)
    with _held(world, run, lock):
        yield


def _acquire(world: World, run: TaskRun, lock: str, wait_s: float | None) -> bool:
    task, began = run.task, world.now()
    pause = threading.Event()
    while True:
        if world.store.locks.acquire(
            lock, task.id, task.owner, LEASE_S, world.now(), is_dead=is_dead
        ):
            return True
        if wait_s is not None and world.now() - began >= wait_s:
            return False
        run.checkpoint()
        pause.wait(_LOOK_S)


@contextmanager
def _held(world: World, run: TaskRun, lock: str) -> Iterator[Callable[[], bool]]:
    task = run.task
    released, lost = threading.Event(), threading.Event()
    until = [world.now() + LEASE_S]

    def renew() -> None:
        while not released.wait(LEASE_S / 3):
            now = world.now()
            if not world.store.locks.renew(lock, task.id, task.owner, LEASE_S, now):
                lost.set()
                return
            until[0] = now + LEASE_S

    def held() -> bool:
        # A renewal that hangs must not let the task go on past the lease.
        return not lost.is_set() and world.now() < until[0]

    thread = threading.Thread(target=renew, name=lock, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        released.set()
        thread.join(LEASE_S)
        world.store.locks.release(lock, task.id, task.owner)


def _busy(world: World, lock: str, what: str) -> LockBusy:
    for record in world.store.locks.list():
        if record.name == lock:
            holder = world.store.tasks.get(record.task_id)
            return LockBusy(
                f"{what} is locked by task {holder.id} ('{holder.description}')",
                fix=f"wait until it is done, or cancel it: director cancel-task {holder.id}",
            )
    return LockBusy(f"{what} was locked by another task", fix="try again")

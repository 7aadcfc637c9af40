"""End the tasks of directors that are no more, and free what they held."""

from __future__ import annotations

import json
from collections.abc import Callable

from director.model.errors import DirectorError, TaskCancelled
from director.model.tasks import Task, TaskState
from director.store.owner import is_local
from director.store.store import Store

SILENT_S = 60.0
"""After this long without a heartbeat a task of a director on another host is given up."""

_GONE = (
    "the director process ended while the task ran\n"
    "  Fix: run the command again: it goes on from what is there"
)


def end_orphans(
    store: Store, *, owner: str, now: float, is_dead: Callable[[str], bool]
) -> list[int]:
    """End every task whose process is gone, and free its locks; returns their numbers.

    Several directors may do so at once: each task is ended by one of them.
    """
    ended: list[int] = []
    for task, heartbeat_at in store.tasks.unfinished():
        if not _is_orphan(task, heartbeat_at, now, is_dead):
            continue
        if store.tasks.adopt(task.id, owner=task.owner, new_owner=owner, now=now):
            _end(store, store.tasks.get(task.id), now)
            store.locks.release_all(task.owner)
            ended.append(task.id)
    for lock in store.locks.list():
        if is_dead(lock.owner):
            store.locks.release_all(lock.owner)
    return ended


def _is_orphan(task: Task, heartbeat_at: float, now: float, is_dead: Callable[[str], bool]) -> bool:
    return is_dead(task.owner) or (not is_local(task.owner) and now - heartbeat_at > SILENT_S)


def _end(store: Store, task: Task, now: float) -> None:
    if task.state is TaskState.CANCELLING:
        _finish(store, task, TaskState.CANCELLED, TaskCancelled.code, now)
        return
    if task.state is TaskState.QUEUED:
        store.tasks.set_state(task.id, TaskState.PROCESSING)
    _finish(store, task, TaskState.ERROR, DirectorError.code, now)


def _finish(store: Store, task: Task, state: TaskState, code: int, now: float) -> None:
    cancelled = state is TaskState.CANCELLED
    message = f"Task {task.id} cancelled" if cancelled else _GONE
    line = {"time": int(now), "error": {"code": code, "message": message}}
    store.outputs.append(task.id, "event", json.dumps(line) + "\n")
    result = "task cancelled" if cancelled else message
    store.tasks.finish(task.id, state, result, now)

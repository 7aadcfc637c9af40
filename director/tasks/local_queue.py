"""The queue of one process: threads that run the tasks this very process was asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from director.execute.world import World
from director.model.tasks import Task, TaskState
from director.store.owner import is_dead
from director.tasks.handlers import Handler, find_handler
from director.tasks.orphans import end_orphans
from director.tasks.worker import run_task

_log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
"""How often a process says that it still runs its tasks."""


class LocalQueue:
    """Runs at most ``workers`` tasks at once, in the order they were queued.

    Threads are started when there is work. They are daemons: a process that leaves without
    :meth:`close` leaves its tasks to be ended by the next director.
    """

    def __init__(
        self,
        world: World,
        *,
        owner: str,
        workers: int = 4,
        find: Callable[[str], Handler] = find_handler,
    ) -> None:
        self._world = world
        self._owner = owner
        self._workers = workers
        self._find = find
        self._changed = threading.Condition()
        self._waiting = 0
        self._threads = 0
        self._closed = threading.Event()
        self._beating = False

    def enqueue(
        self,
        type: str,
        description: str,
        *,
        user: str = "admin",
        deployment: str | None = None,
        context_id: str = "",
        args: Mapping[str, Any] | None = None,
    ) -> Task:
        """Queue a task and return it; ``args`` is plain JSON data without secrets."""
        task = self._world.store.tasks.create(
            type=type,
            description=description,
            owner=self._owner,
            now=self._world.now(),
            user=user,
            deployment=deployment,
            context_id=context_id,
            args=args,
        )
        with self._changed:
            self._waiting += 1
            if self._threads < self._workers:
                self._threads += 1
                self._start(self._work, f"worker-{self._threads}")
            if not self._beating:
                self._beating = True
                self._start(self._beat, "heartbeat")
        return task

    def recover(self) -> list[int]:
        """End the tasks of directors that died and free their locks; returns their numbers."""
        return end_orphans(
            self._world.store, owner=self._owner, now=self._world.now(), is_dead=is_dead
        )

    def idle(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is queued or running; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._waiting == 0 and self._threads == 0, timeout_s
            )

    def close(self, *, timeout_s: float | None = None, cancel: bool = False) -> bool:
        """Wait until all tasks ended (asked to stop first, with ``cancel``); tells whether they
        did within ``timeout_s`` seconds. May be called twice."""
        if cancel:
            for task, _ in self._world.store.tasks.unfinished():
                if task.owner == self._owner and task.state is not TaskState.CANCELLING:
                    self._world.store.tasks.request_cancel(task.id)
        ended = self.idle(timeout_s)
        self._closed.set()
        return ended

    def _start(self, target: Callable[[], None], name: str) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._waiting == 0:
                    self._threads -= 1
                    self._changed.notify_all()
                    return
                self._waiting -= 1
            try:
                self._run_next()
            except Exception:  # noqa: BLE001  # a worker outlives its tasks
                _log.exception("no task could be taken from the queue")

    def _run_next(self) -> None:
        task = self._world.store.tasks.claim(self._owner, self._world.now())
        if task is not None:
            run_task(task, self._world, self._find)

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_S):
            self._world.store.tasks.heartbeat(self._owner, self._world.now())

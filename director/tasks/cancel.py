"""Whether a running task was asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from director.model.tasks import TaskState
from director.store.store import Store

LOOK_EVERY_S = 0.3
"""How often the database is asked at most; many threads of a task ask all the time."""


class CancelFlag:
    """Callable that tells whether the task is to stop; once true, it stays so."""

    def __init__(self, store: Store, task_id: int, now: Callable[[], float]) -> None:
        self._store = store
        self._task_id = task_id
        self._now = now
        self._next_look = 0.0
        self._cancelled = False
        self._looking = threading.Lock()

    def __call__(self) -> bool:
        if self._cancelled or not self._looking.acquire(blocking=False):
            return self._cancelled
        try:
            now = self._now()
            if now >= self._next_look:
                state = self._store.tasks.get(self._task_id).state
                self._cancelled = state is TaskState.CANCELLING
                self._next_look = now + LOOK_EVERY_S
        finally:
            self._looking.release()
        return self._cancelled

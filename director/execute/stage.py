"""Progress for operators: stages of steps, each started and then finished or failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from director.model.events import Progress, ProgressState

Emit = Callable[[Progress], None]


class Step:
    """One step under way; :meth:`status` tells what it does now."""

    def __init__(self, report: Callable[[ProgressState, int, dict[str, object] | None], None]):
        self._report = report
        self._percent = 0

    def status(self, text: str, percent: int | None = None) -> None:
        """Report ``text`` (``executing pre-start``) and how far the step is, 0 to 100."""
        self._percent = percent if percent is not None else min(95, self._percent + 10)
        self._report(ProgressState.IN_PROGRESS, self._percent, {"status": text})


class Stage:
    """A heading of a task's progress with ``total`` steps; steps may run in several threads."""

    def __init__(
        self,
        emit: Emit,
        name: str,
        *,
        total: int | None = None,
        tags: tuple[str, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._emit = emit
        self._name = name
        self._total = total
        self._tags = tags
        self._now = now
        self._index = 0
        self._lock = threading.Lock()

    @contextmanager
    def track(self, task: str) -> Iterator[Step]:
        """Report one step: started, then finished, or failed and raised again."""
        with self._lock:
            self._index += 1
            index = self._index

        def report(
            state: ProgressState, progress: int, data: dict[str, object] | None = None
        ) -> None:
            self._emit(
                Progress(
                    time=int(self._now()),
                    stage=self._name,
                    task=task,
                    index=index,
                    total=self._total,
                    tags=self._tags,
                    state=state,
                    progress=progress,
                    data=data,
                )
            )

        report(ProgressState.STARTED, 0)
        try:
            yield Step(report)
        except BaseException as error:
            report(ProgressState.FAILED, 100, {"error": str(error) or type(error).__name__})
            raise
        report(ProgressState.FINISHED, 100)

"""One running task, as an operation sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from director.execute.stage import Emit, Stage
from director.model.errors import TaskCancelled
from director.model.events import AuditEvent
from director.model.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """The task and the ways to report: progress lines, result output, audit events, debug log.

    ``cancelled`` tells whether somebody asked the task to stop. ``warn`` writes a warning line.
    """

    task: Task
    emit: Emit
    warn: Callable[[str], None]
    write_result: Callable[[str], None]
    audit: Callable[[AuditEvent], None]
    cancelled: Callable[[], bool]
    log: logging.Logger

    def stage(self, name: str, *, total: int | None = None, tags: tuple[str, ...] = ()) -> Stage:
        """Begin a stage of this task's progress."""
        return Stage(self.emit, name, total=total, tags=tags)

    def checkpoint(self) -> None:
        """Raise TaskCancelled if the task was asked to stop; call it between steps and in waits."""
        if self.cancelled():
            raise TaskCancelled(f"Task {self.task.id} cancelled")

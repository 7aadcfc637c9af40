"""Tasks: what an operator asked for, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TaskState(StrEnum):
    """The states of a task, in BOSH's words."""

    QUEUED = "queued"
    PROCESSING = "processing"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    DONE = "done"
    ERROR = "error"
    TIMEOUT = "timeout"


MAY_BECOME: Mapping[TaskState, frozenset[TaskState]] = {
    TaskState.QUEUED: frozenset({TaskState.PROCESSING, TaskState.CANCELLING, TaskState.CANCELLED}),
    TaskState.PROCESSING: frozenset(
        {TaskState.CANCELLING, TaskState.DONE, TaskState.ERROR, TaskState.TIMEOUT}
    ),
    TaskState.CANCELLING: frozenset(
        {TaskState.CANCELLED, TaskState.DONE, TaskState.ERROR, TaskState.TIMEOUT}
    ),
    TaskState.CANCELLED: frozenset(),
    TaskState.DONE: frozenset(),
    TaskState.ERROR: frozenset(),
    TaskState.TIMEOUT: frozenset(),
}
"""Which state may follow which; a final state is followed by none."""

RUNNING = frozenset({TaskState.QUEUED, TaskState.PROCESSING, TaskState.CANCELLING})
"""States in which a client goes on polling."""

HOUSEKEEPING_HIDDEN = frozenset(
    {
        "attach_disk",
        "create_snapshot",
        "delete_deployment",
        "delete_release",
        "delete_snapshot",
        "delete_stemcell",
        "run_errand",
        "snapshot_deployment",
        "update_instance",
        "update_deployment",
        "update_release",
        "update_stemcell",
        "export_release",
    }
)
"""Task types that a listing with ``verbose=1`` shows; all others are housekeeping."""

RESULT_LIMIT = 128
"""Length, in characters, after which a task's one-line result is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row of the tasks table; times are seconds since the epoch.

    ``owner`` names the process that runs it (it holds the task's locks too).
    """

    id: int
    type: str
    state: TaskState
    description: str
    user: str = "admin"
    deployment: str | None = None
    context_id: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    result: str | None = None
    queued_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    owner: str = ""


def one_line(result: str) -> str:
    """Return ``result`` cut to one line of about :data:`RESULT_LIMIT` characters."""
    line = " ".join(result.split())
    if len(line) <= RESULT_LIMIT:
        return line
    return line[:RESULT_LIMIT].rsplit(" ", 1)[0] + "..."

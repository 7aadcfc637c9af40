"""The two kinds of event: lines of a task's progress, and rows of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ProgressState(StrEnum):
    """How far one step of a stage is."""

    STARTED = "started"
    IN_PROGRESS = "in_progress"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of a task's event output. Source: director HTTP API, event log line format."""

    time: int
    stage: str
    task: str
    index: int
    state: ProgressState
    total: int | None = None
    tags: tuple[str, ...] = ()
    progress: int = 0
    data: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line as the object a client reads."""
        line: dict[str, Any] = {
            "time": self.time,
            "stage": self.stage,
            "tags": list(self.tags),
            "total": self.total,
            "task": self.task,
            "index": self.index,
            "state": self.state.value,
            "progress": self.progress,
        }
        if self.data is not None:
            line["data"] = dict(self.data)
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One row of the audit trail (``GET /events``). Values of secrets never stand in it."""

    action: str
    object_type: str
    object_name: str
    user: str = "admin"
    task: str | None = None
    deployment: str | None = None
    instance: str | None = None
    error: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    timestamp: float = 0.0
    id: int = 0
    parent_id: int | None = None

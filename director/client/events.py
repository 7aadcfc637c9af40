"""The lines of a task's event output, as records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """One line of a task's progress.

    ``kind`` is ``progress``, ``error``, ``warning`` or ``deprecation``; ``message`` is the text of
    the latter three, and for progress the status under way or the error of a failed step.
    """

    kind: str
    time: int
    message: str = ""
    stage: str = ""
    tags: tuple[str, ...] = ()
    task: str = ""
    state: str = ""
    index: int = 0
    total: int | None = None

    @property
    def step(self) -> tuple[str, tuple[str, ...], str]:
        """What all lines of one step have in common."""
        return (self.stage, self.tags, self.task)

    @property
    def heading(self) -> str:
        """The stage with its tags."""
        return f"{self.stage} {', '.join(self.tags)}" if self.tags else self.stage


class EventLines:
    """Turns chunks of output into events; a line cut by a chunk's end waits for its rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[TaskEvent]:
        """Return the events completed by ``chunk``; lines that are no events are left out."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found = (parse_event(line) for line in lines if line.strip())
        return [event for event in found if event is not None]


def parse_event(line: bytes) -> TaskEvent | None:
    """Return the event on one line, or None where the line is something else."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    time = row.get("time")
    time = time if isinstance(time, int) else 0
    if isinstance(row.get("error"), dict):
        return TaskEvent(kind="error", time=time, message=str(row["error"].get("message", "")))
    if row.get("type") in ("warning", "deprecation"):
        return TaskEvent(kind=str(row["type"]), time=time, message=str(row.get("message", "")))
    return _progress(row, time)


def _progress(row: dict[str, Any], time: int) -> TaskEvent | None:
    if not isinstance(row.get("stage"), str):
        return None
    data = row.get("data")
    data = data if isinstance(data, dict) else {}
    total = row.get("total")
    index = row.get("index")
    return TaskEvent(
        kind="progress",
        time=time,
        stage=row["stage"],
        tags=tuple(str(tag) for tag in row.get("tags") or ()),
        task=str(row.get("task") or ""),
        state=str(row.get("state") or ""),
        index=index if isinstance(index, int) else 0,
        total=total if isinstance(total, int) else None,
        message=str(data.get("error") or data.get("status") or ""),
    )

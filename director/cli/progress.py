"""A task's progress as text lines: what a pipe, a log file or ``--json`` gets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from director.client.events import EventLines, TaskEvent
from director.client.tasks import TaskInfo

Translate = Callable[[str], str]
"""Turns positions in a text the director read into positions in the operator's files."""


class Progress(Protocol):
    """Shows a task while it runs."""

    def started(self, task_id: int) -> None:
        """Show that the task is being followed."""

    def output(self, chunk: bytes) -> None:
        """Show the next bytes of its output."""

    def finished(self, task: TaskInfo) -> None:
        """Show how it ended."""

    def errors(self) -> list[str]:
        """Return the errors not shown yet."""

    def aside(self, show: Callable[[], None]) -> None:
        """Let ``show`` write something that is not progress."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""


def clock(seconds: int) -> str:
    """Return the time of day, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """Return a duration as ``00:01:05``."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


class PlainProgress:
    """Writes one line a step, and adds to it how long the step took."""

    def __init__(
        self, write: Callable[[str], None], *, translate: Translate = str, summary: bool = True
    ) -> None:
        self._write = write
        self._translate = translate
        self._summary = summary
        self._lines = EventLines()
        self._started_at: dict[object, int] = {}
        self._last: TaskEvent | None = None
        self._open: object = None
        self._first: TaskEvent | None = None
        self._task_id = 0

    def started(self, task_id: int) -> None:
        self._task_id = task_id
        self._write(f"Task {task_id}")

    def output(self, chunk: bytes) -> None:
        for event in self._lines.feed(chunk):
            if self._first is None:
                self._first = event
                self._write("\n")
            self._show(event)
            self._last = event

    def finished(self, task: TaskInfo) -> None:
        if self._first is None or self._last is None:
            self._write(f". {task.state.capitalize()}\n")
            return
        if self._summary:
            ends = [datetime.fromtimestamp(e.time, UTC) for e in (self._first, self._last)]
            shown = [end.strftime("%a %b %e %H:%M:%S UTC %Y") for end in ends]
            took = duration(self._last.time - self._first.time)
            self._write(
                f"\n\nTask {task.id} Started  {shown[0]}\nTask {task.id} Finished {shown[1]}"
                f"\nTask {task.id} Duration {took}"
            )
        self._write(f"\nTask {task.id} {task.state}\n")

    def errors(self) -> list[str]:
        return []

    def aside(self, show: Callable[[], None]) -> None:
        # The line of a step that runs is not ended yet; the step's end stands on one of its own.
        if self._last is not None:
            self._write("\n")
        self._open = None
        show()

    def close(self) -> None:
        """There is nothing to put back."""

    def _show(self, event: TaskEvent) -> None:
        if event.kind != "progress":
            word = event.kind.capitalize()
            self._begin(event, f"{word}: {self._translate(event.message)}", apart=True)
            return
        step = f"{event.heading}: {event.task}"
        if event.state == "started":
            self._started_at[event.step] = event.time
            self._begin(event, step)
        elif event.state == "in_progress":
            self._begin(event, f"L {event.message}: {event.task}")
        elif event.state in ("finished", "failed"):
            self._end(event, step)

    def _end(self, event: TaskEvent, step: str) -> None:
        took = duration(event.time - self._started_at.pop(event.step, event.time))
        if self._open != event.step:
            self._begin(event, step)
        self._write(f" ({took})")
        if event.state == "failed":
            margin = " " * (len(str(self._task_id)) + 5)
            self._write(f"\n{margin}            L Error: {self._translate(event.message)}")

    def _begin(self, event: TaskEvent, text: str, *, apart: bool = False) -> None:
        self._open = event.step
        gap = "\n" if apart and self._last is not None else ""
        self._write(f"{gap}\nTask {self._task_id} | {clock(event.time)} | {text}")


class SilentProgress:
    """Shows nothing, and keeps the errors for who asks."""

    def __init__(self, *, translate: Translate = str) -> None:
        self._lines = EventLines()
        self._translate = translate
        self._errors: list[str] = []

    def started(self, task_id: int) -> None:
        """Show nothing."""

    def output(self, chunk: bytes) -> None:
        for event in self._lines.feed(chunk):
            if event.kind == "error":
                self._errors.append(self._translate(event.message))

    def finished(self, task: TaskInfo) -> None:
        """Show nothing."""

    def errors(self) -> list[str]:
        return self._errors

    def aside(self, show: Callable[[], None]) -> None:
        show()

    def close(self) -> None:
        """There is nothing to put back."""


class RawProgress:
    """Shows the output as it is: a debug log, a result."""

    def __init__(self, write: Callable[[str], None]) -> None:
        from codecs import getincrementaldecoder

        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._write = write

    def started(self, task_id: int) -> None:
        """Show nothing."""

    def output(self, chunk: bytes) -> None:
        self._write(self._decoder.decode(chunk))

    def finished(self, task: TaskInfo) -> None:
        """Show nothing: the output speaks for itself."""

    def errors(self) -> list[str]:
        return []

    def aside(self, show: Callable[[], None]) -> None:
        show()

    def close(self) -> None:
        """There is nothing to put back."""

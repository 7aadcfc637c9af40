"""A task's progress in a terminal: finished steps stay, steps under way move below them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from director.cli.progress import Translate, duration
from director.cli.terminal_table import shorten_ids
from director.cli.ui import harmless
from director.client.events import EventLines, TaskEvent
from director.client.tasks import TaskInfo

SHOWN_AT_ONCE = 12
ROOMY = 110


@dataclass(slots=True)
class _Step:
    heading: str
    task: str
    started_at: int
    seen_at: float
    status: str = ""


class LiveProgress:
    """Shows stages as headings, and under each its steps with what they do and for how long."""

    def __init__(
        self,
        out: TextIO,
        *,
        width: int,
        color: bool,
        translate: Translate = str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = Console(
            file=out,
            width=width,
            force_terminal=True,
            no_color=not color,
            highlight=False,
            legacy_windows=False,
        )
        self._translate = translate
        self._now = now
        self._lines = EventLines()
        self._steps: dict[object, _Step] = {}
        self._heading = ""
        self._first: TaskEvent | None = None
        self._last: TaskEvent | None = None
        self._totals: dict[str, tuple[int, int | None]] = {}
        self._live = Live(
            console=self._console,
            refresh_per_second=8,
            transient=True,
            get_renderable=self._under_way,
        )

    def started(self, task_id: int) -> None:
        self._console.print(Text(f"Task {task_id}", style="bold"))
        self._live.start()

    def output(self, chunk: bytes) -> None:
        for event in self._lines.feed(chunk):
            self._first = self._first or event
            self._last = event
            self._take(event)

    def finished(self, task: TaskInfo) -> None:
        self._live.stop()
        took = ""
        if self._first and self._last:
            took = f" in {duration(self._last.time - self._first.time)}"
        style = "green" if task.state == "done" else "red"
        self._console.print(Text(f"Task {task.id} {task.state}{took}", style=style))

    def errors(self) -> list[str]:
        return []

    def aside(self, show: Callable[[], None]) -> None:
        self._live.stop()
        # What the terminal echoed of a Ctrl-C stands in the last line.
        self._console.print()
        show()
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def _take(self, event: TaskEvent) -> None:
        if event.kind != "progress":
            shade = "red" if event.kind == "error" else "yellow"
            text = f"{event.kind.capitalize()}: {harmless(self._translate(event.message))}"
            self._console.print(Text(text, style=shade), soft_wrap=True)
            return
        if event.state == "started":
            self._steps[event.step] = _Step(
                harmless(event.heading), self._short(event.task), event.time, self._now()
            )
            self._totals[event.heading] = (event.index, event.total)
        elif event.state == "in_progress" and event.step in self._steps:
            self._steps[event.step].status = harmless(event.message)
        elif event.state in ("finished", "failed"):
            self._end(event)

    def _end(self, event: TaskEvent) -> None:
        step = self._steps.pop(event.step, None)
        took = duration(event.time - (step.started_at if step else event.time))
        failed = event.state == "failed"
        heading = harmless(event.heading)
        if heading != self._heading:
            self._heading = heading
            self._console.print(Text(f"  {heading}", style="bold"))
        mark = Text("✗", style="red") if failed else Text("✓", style="green")
        self._console.print(self._row(mark, self._short(event.task), "", took))
        if failed and event.message:
            text = f"      {harmless(self._translate(event.message))}"
            self._console.print(Text(text, style="red"), soft_wrap=True)

    def _under_way(self) -> Group:
        rows: list[RenderableType] = []
        shown = list(self._steps.values())
        for step in shown[:SHOWN_AT_ONCE]:
            took = duration(self._now() - step.seen_at)
            count, total = self._totals.get(step.heading, (0, None))
            place = f" {count}/{total}" if total and total > 1 else ""
            status = step.status or f"{step.heading.lower()}{place}"
            rows.append(self._row(Spinner("dots"), step.task, status, took))
        if len(shown) > SHOWN_AT_ONCE:
            rows.append(Text(f"    and {len(shown) - SHOWN_AT_ONCE} more"))
        return Group(*rows)

    def _row(self, mark: Text | Spinner, task: str, status: str, took: str) -> Table:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=3)
        row.add_column(width=1)
        row.add_column(ratio=3, overflow="ellipsis", no_wrap=True)
        row.add_column(ratio=2, overflow="ellipsis", no_wrap=True, style="dim")
        row.add_column(width=8, justify="right", style="dim")
        row.add_row("", mark, Text(task), Text(status), took)
        return row

    def _short(self, text: str) -> str:
        clean = harmless(text)
        return clean if self._console.width >= ROOMY else shorten_ids(clean)

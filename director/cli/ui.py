"""What a command says, and how: to a terminal, through a pipe, or as one JSON document.

- A *line* is talk (``Using deployment 'x'``): shown in a terminal, left out of a pipe.
- A *block* is content (a manifest, progress): shown always.
- A *table* is content with a shape.

Text from a director or a file reaches a terminal without its control characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from director.cli.table import Table
from director.model.errors import UsageError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """Return ``text`` without control characters; a terminal acts on nothing in it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


class Ui:
    """The output of one command. ``broken`` tells that nobody reads standard output any more."""

    def __init__(
        self,
        *,
        out: TextIO,
        err: TextIO,
        json_mode: bool = False,
        tty: bool = False,
        color: bool = False,
        width: int = 80,
        columns: Sequence[str] = (),
        interactive: bool = True,
        ask: Callable[[], str] | None = None,
    ) -> None:
        self._out = out
        self._err = err
        self._ask = ask
        self._columns = tuple(columns)
        self._tables: list[dict[str, Any]] = []
        self._blocks: list[str] = []
        self._lines: list[str] = []
        self.json_mode = json_mode
        self.tty = tty and not json_mode
        self.color = color and not json_mode
        self.width = width
        self.interactive = interactive
        self.broken = False

    def growing_block(self) -> Callable[[str], None]:
        """Return what writes content piece by piece; it is one block in the JSON document."""
        if not self.json_mode:
            return self.write
        place = len(self._blocks)
        self._blocks.append("")

        def add(text: str) -> None:
            self._blocks[place] += text

        return add

    def line(self, text: str) -> None:
        """Say something about what happens."""
        if self.json_mode:
            self._lines.append(text)
        elif self.tty:
            self.write(f"{harmless(text)}\n")

    def block(self, text: str) -> None:
        """Show content; a terminal gets a line end after it."""
        if self.json_mode:
            self._blocks.append(text)
            return
        shown = harmless(text) if self.tty else text
        self.write(shown if shown.endswith("\n") or not shown else f"{shown}\n")

    def table(self, table: Table) -> None:
        """Show a table."""
        shown = table.only(self._columns)
        if self.json_mode:
            self._tables.append(shown.to_json())
        elif self.tty:
            from director.cli.terminal_table import draw

            clean = [[type(cell)(harmless(cell)) for cell in row] for row in shown.rows]
            self.write(draw(_with_rows(shown, clean), width=self.width, color=self.color))
        elif shown.rows:
            self.write(f"{shown.to_text()}\n")

    def diff(self, lines: Sequence[tuple[str, str | None]]) -> None:
        """Show the lines of a difference: green what is added, red what is removed."""
        marks = {"added": ("+", "green"), "removed": ("-", "red")}
        for text, change in lines:
            sign, shade = marks.get(change or "", (" ", ""))
            plain = f"{sign} {harmless(text)}".rstrip()
            if self.json_mode:
                self._blocks.append(plain)
            else:
                self.write(f"{self.paint(plain, shade) if shade else plain}\n")

    def note(self, text: str) -> None:
        """Say something beside the content, on standard error, in a pipe too."""
        if self.json_mode:
            self._lines.append(text)
        else:
            print(harmless(text), file=self._err, flush=True)

    def error(self, text: str) -> None:
        """Say what went wrong."""
        if self.json_mode:
            self._lines += [text, "Exit code 1"]
        else:
            shown = harmless(text)
            print(self.paint(shown, "red") if self.color else shown, file=self._err, flush=True)

    def confirm(self) -> None:
        """Ask whether to go on; raises UsageError where the answer is no or nobody can be asked."""
        if not self.interactive:
            return
        if self._ask is None or self.json_mode:
            raise UsageError(
                "this asks before it goes on, and there is no terminal to ask in",
                fix="say yes beforehand with -n (--non-interactive)",
            )
        self.write("\nContinue? [yN]: ")
        if self._ask().strip().lower() not in ("y", "yes"):
            raise UsageError("stopped: the answer was not yes; nothing was changed")

    def paint(self, text: str, shade: str) -> str:
        """Return ``text`` in a color, where there are colors."""
        if not self.color:
            return text
        import click

        return click.style(text, fg=shade)

    def write(self, text: str) -> None:
        """Write to standard output as it is; silent once nobody reads it."""
        if self.broken:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError:
            # The task goes on: a reader that leaves early must not stop a deploy half-way.
            self.broken = True

    def finish(self) -> None:
        """Write the JSON document, where that is the mode."""
        if not self.json_mode:
            return
        shape = {
            "Tables": self._tables or None,
            "Blocks": self._blocks or None,
            "Lines": self._lines or None,
        }
        self.write(json.dumps(shape, indent=4, ensure_ascii=False) + "\n")


def _with_rows(table: Table, rows: Sequence[Sequence[str]]) -> Table:
    from dataclasses import replace

    return replace(table, rows=rows)

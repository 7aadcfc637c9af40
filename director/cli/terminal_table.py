"""How a table looks in a terminal, so that it can be read at any width.

A table that is too wide first has its UUIDs cut to their first eight letters (the command line
takes such ids back), its titles and its prose folded; then its names broken after their group; one
that still does not fit is shown row by row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

from director.cli.table import Failing, Table

GAP = 2
NARROWEST_PROSE = 10
_ID = re.compile(
    r"\b([0-9a-f]{8})(?:-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})\b"
)


def shorten_ids(text: str) -> str:
    """Return ``text`` with every UUID and fingerprint cut to its first eight letters."""
    return _ID.sub(r"\1", text)


def draw(table: Table, *, width: int, color: bool) -> str:
    """Return the table as text for a terminal ``width`` columns wide."""
    text: list[str] = [f"{table.title}\n"] if table.title else []
    fitting = None if table.transpose else _fit(_without_repeats(table), width)
    text.append(
        _blocks(table, width=width, color=color)
        if fitting is None
        else _columns(fitting, width=width, color=color)
    )
    if table.notes:
        text.append("\n" + "\n".join(table.notes) + "\n")
    if table.content:
        text.append(f"\n{table.count} {table.content}\n")
    return "".join(text)


def _fit(table: Table, width: int) -> Table | None:
    """Return the table as it fits into ``width``, or None where its columns do not."""
    if _width(table, prose=False) <= width:
        return table
    short = replace(
        table, rows=[[type(cell)(shorten_ids(cell)) for cell in row] for row in table.rows]
    )
    narrow = replace(
        short,
        header=["\n".join(title.split()) for title in table.header],
        prose=frozenset("\n".join(title.split()) for title in table.prose),
    )
    split = replace(narrow, rows=[[row[0].replace("/", "/\n", 1), *row[1:]] for row in narrow.rows])
    candidates = (short, narrow, split)
    return next((t for t in candidates if _width(t, prose=True) <= width), None)


def _width(table: Table, *, prose: bool) -> int:
    """Return the columns a table takes, with its prose folded or not."""
    total = -GAP
    for title in table.header:
        widest = _longest(title, table)
        if prose and title in table.prose:
            widest = min(widest, _narrowest(title))
        total += widest + GAP
    return total


def _narrowest(title: str) -> int:
    """Return how narrow a column of prose may be: no word of its title is broken."""
    return max(NARROWEST_PROSE, *map(len, title.split() or [""]))


def _longest(title: str, table: Table) -> int:
    """Return the width of the column under ``title`` if nothing in it is folded."""
    place = list(table.header).index(title)
    cells = [title, *(row[place] for row in table.rows)]
    return max(len(line) for cell in cells for line in (cell.splitlines() or [""]))


def _without_repeats(table: Table) -> Table:
    """Return the table with ``~`` for a first cell that is that of the row above."""
    rows: list[Sequence[str]] = []
    last: str | None = None
    for row in table.rows:
        rows.append(["~", *row[1:]] if row[0] == last and last else row)
        last = row[0]
    return replace(table, rows=rows)


def _columns(table: Table, *, width: int, color: bool) -> str:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for title, columns in zip(table.header, _widths(table, width), strict=True):
        drawn.add_column(Text(title), overflow="fold", width=columns, vertical="top")
    for row in table.rows:
        drawn.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        legacy_windows=False,
    )
    console.print(drawn)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _widths(table: Table, width: int) -> list[int]:
    """Return how wide each column is: prose shares what the others leave, as much as it needs."""
    wanted = [_longest(title, table) for title in table.header]
    widths = [
        min(longest, _narrowest(title)) if title in table.prose else longest
        for title, longest in zip(table.header, wanted, strict=True)
    ]
    left = width - sum(widths) - GAP * (len(widths) - 1)
    while left > 0 and widths != wanted:
        hungry = [n for n, longest in enumerate(wanted) if widths[n] < longest]
        for n in hungry[: left or None]:
            widths[n] += 1
            left -= 1
    return widths


def _blocks(table: Table, *, width: int, color: bool) -> str:
    """Return the rows one below the other, each as lines of title and value.

    What is empty is left out of a table that would have columns, were there room.
    """
    import click

    titles = [" ".join(title.split()) for title in table.header]
    margin = max(len(title) for title in titles) + GAP
    blocks: list[str] = []
    for row in table.rows:
        lines: list[str] = []
        for title, cell in zip(titles, row, strict=True):
            if not (cell or table.transpose):
                continue
            for n, value in enumerate(_folded(cell, max(20, width - margin))):
                head = (title if n == 0 else "").ljust(margin)
                shown = (
                    click.style(value, fg="red") if color and isinstance(cell, Failing) else value
                )
                lines.append(f"{click.style(head, bold=True) if color else head}{shown}".rstrip())
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def _folded(cell: str, width: int) -> list[str]:
    lines = [
        line[start : start + width]
        for line in cell.splitlines() or [""]
        for start in range(0, max(len(line), 1), width)
    ]
    return lines or [""]


def _style(cell: str) -> str:
    return "red" if isinstance(cell, Failing) else ""

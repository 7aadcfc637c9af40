"""Tables: what they hold, their JSON shape, and their text for a pipe.

A cell is a string; several values in one cell stand on lines of their own. How a table looks in a
terminal is :mod:`director.cli.terminal_table`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from director.model.errors import UsageError


class Failing(str):
    """A cell that shows something wrong; terminals show it in red."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under titles, in the order they are shown.

    ``content`` names what is counted; ``notes`` stand below. ``transpose`` shows each row as a
    block of ``title  value`` lines. ``prose`` are titles whose text a terminal may fold.
    ``counted`` is what :attr:`count` says instead of the number of rows.
    """

    content: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    title: str = ""
    transpose: bool = False
    prose: frozenset[str] = field(default_factory=frozenset)
    counted: int | None = None

    @property
    def count(self) -> int:
        """How many there are: rows, unless some rows only add to others."""
        return len(self.rows) if self.counted is None else self.counted

    def only(self, columns: Iterable[str]) -> Table:
        """Return the table with these columns, named by title or key; all where none is named."""
        wanted = list(columns)
        if not wanted:
            return self
        keys = [column_key(title) for title in self.header]
        places: list[int] = []
        for column in wanted:
            if column_key(column) not in keys:
                raise UsageError(
                    f"there is no column '{column}'", fix=f"use one of {', '.join(keys)}"
                )
            places.append(keys.index(column_key(column)))
        return replace(
            self,
            header=[self.header[place] for place in places],
            rows=[[row[place] for place in places] for row in self.rows],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the table in the shape of the bosh CLI's ``--json``."""
        keys = [column_key(title) for title in self.header]
        return {
            "Content": self.content,
            "Header": dict(zip(keys, self.header, strict=True)),
            "Rows": [dict(zip(keys, map(str, row), strict=True)) for row in self.rows],
            "Notes": list(self.notes) or None,
        }

    def to_text(self) -> str:
        """Return aligned columns under their titles, one line a row, for a pipe.

        Empty cells are ``-`` and several values are joined by commas, so that every line has the
        same number of columns whatever cuts it.
        """
        if self.transpose:
            return "\n".join(
                line
                for row in self.rows
                for line in _pairs(self.header, [one_line(c) for c in row])
            )
        lines = [[" ".join(title.split()) for title in self.header]]
        lines += [[one_line(cell) or "-" for cell in row] for row in self.rows]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


def column_key(title: str) -> str:
    """Return a title's key in JSON: ``VM CID`` is ``vm_cid``, ``Release(s)`` is ``release_s``."""
    words = "".join(letter.lower() if letter.isalnum() else " " for letter in title).split()
    return "_".join(words) or "_"


def one_line(cell: str) -> str:
    """Return a cell's values on one line, joined by commas."""
    return ",".join(part.strip() for part in cell.splitlines() if part.strip())


def several(values: Iterable[str]) -> str:
    """Return several values as one cell."""
    return "\n".join(values)


def moment(seconds: float | None) -> str:
    """Return a time as BOSH shows it, or ``-`` where there is none."""
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %b %e %H:%M:%S UTC %Y")


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts versions as numbers where they are numbers."""
    parts = re.split(r"[.+-]", version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _pairs(header: Sequence[str], row: Sequence[str]) -> list[str]:
    width = max(len(title) for title in header)
    return [
        f"{title.ljust(width)}  {one_line(cell)}".rstrip()
        for title, cell in zip(header, row, strict=True)
    ]

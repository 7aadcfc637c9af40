"""Where in an operator's file a value stands."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""The way to a value inside a document: map keys and list indexes, from the root."""


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A position in a text an operator wrote; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def show_path(path: Path) -> str:
    """Return ``path`` as an operator writes it in an ops file: ``/instance_groups/0/name``."""
    return "/" + "/".join(str(part) for part in path)

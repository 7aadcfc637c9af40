"""What readers of documents share: errors with places, and which parts are fit to be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from director.manifest.check import MOST_ERRORS, check
from director.manifest.located_yaml import Located
from director.manifest.problems import describe, raise_sorted
from director.manifest.schema import load_schema
from director.model.errors import DirectorError
from director.model.source import Path

T = TypeVar("T")


class Reader:
    """One reading of a document that passed or failed its schema: ``errors`` grows, and what has
    errors of its own is not read further."""

    def __init__(self, located: Located, schema: str, kind: type[DirectorError]) -> None:
        self.located = located
        self._kind = kind
        self._title = str(load_schema(schema)["title"])
        problems = check(located, schema, kind)
        self._all_seen = len(problems) < MOST_ERRORS
        self.errors: list[DirectorError] = [problem.error for problem in problems]
        self._bad = {
            problem.path[:length] for problem in problems for length in range(len(problem.path) + 1)
        }

    def clean(self, *path: str | int) -> bool:
        """Whether the value at ``path`` has no error in it."""
        return self._all_seen and path not in self._bad

    def add(
        self, what: str, path: Path, fix: str, *, kind: type[DirectorError] | None = None
    ) -> None:
        """Note an error about the value at ``path``."""
        where = self.located.where(path)
        self.errors.append((kind or self._kind)(what, where=where, fix=fix))

    def name(self, path: Path) -> str:
        """Return how an operator calls what is at ``path``."""
        return describe(self.located.data, path, self._title)

    def parse(self, read: Callable[[Any], T], value: Any, path: Path, otherwise: T) -> T:
        """Return ``read(value)``; its ValueError becomes an error, and the result ``otherwise``."""
        try:
            return read(value)
        except ValueError as error:
            self.add(f"{self.name(path)}: {error}", path, "correct the value")
            return otherwise

    def unique(self, path: Path, key: str | None = "name") -> None:
        """Note the items of the list at ``path`` whose ``key`` (or value) was there before."""
        seen: dict[str, int] = {}
        for n, item in enumerate(self.items(path)):
            value = item.get(key) if isinstance(item, Mapping) else None if key else item
            at = (*path, n, key) if key else (*path, n)
            if not isinstance(value, str):
                continue
            if value in seen:
                first = self.located.where((*path, seen[value]))
                since = f" (first in line {first.line} of {first.file})" if first else ""
                what = f"{self.name((*path, n)) if key else repr(value)} is listed twice{since}"
                self.add(what, at, "keep one of them, or rename one")
            seen.setdefault(value, n)

    def items(self, path: Path) -> list[Any]:
        """Return the list at ``path``; an empty one where there is none."""
        data = self.located.data
        for step in path:
            if isinstance(step, str):
                data = data.get(step) if isinstance(data, Mapping) else None
            else:
                data = data[step] if isinstance(data, list) and step < len(data) else None
        return data if isinstance(data, list) else []

    def finish(self) -> None:
        """Raise everything found, in the order of the file."""
        raise_sorted(self.errors)


def present(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the entries that have a value; a key without one counts as left out."""
    return {key: value for key, value in (mapping or {}).items() if value is not None}

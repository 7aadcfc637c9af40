"""Writing a CPI's package: everything but what only its author can know."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from cpis.registry import known_cpis
from director.model.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME = 30
_SUFFIX = ".tmpl"
_NO_DOT = {"gitignore": ".gitignore"}
"""A wheel's patterns leave out names that begin with a dot: the template's have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How the parts of a CPI's package are called, from the name operators use."""

    name: str

    @property
    def package(self) -> str:
        """The Python package."""
        return f"director_cpi_{self.name.replace('-', '_')}"

    @property
    def class_name(self) -> str:
        """The class the director loads."""
        return "".join(word.capitalize() for word in self.name.split("-")) + "Cpi"

    @property
    def directory(self) -> str:
        """Where the package is written unless told otherwise."""
        return f"director-cpi-{self.name}"


def check_name(name: str) -> Names:
    """Return the names of a new CPI; raises UsageError where operators could not use this one."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"'{name}' cannot name a CPI",
            fix="use lower-case letters, digits and single dashes, beginning with a letter, "
            f"at most {_LONGEST_NAME}",
        )
    known = known_cpis()
    if name in known:
        raise UsageError(
            f"there is a CPI '{name}' already",
            fix=f"choose a name other than {', '.join(known)}",
        )
    return Names(name=name)


def write_package(names: Names, directory: Path) -> tuple[Path, ...]:
    """Write the package into ``directory`` and return the files; overwrites none.

    Raises UsageError where one of them is there already, before anything is written.
    """
    values = {"name": names.name, "package": names.package, "class_name": names.class_name}
    planned = {
        directory / str(path).replace("_package_", names.package): string.Template(text).substitute(
            values
        )
        for path, text in _templates(files("cpis.kit") / "template", PurePosixPath())
    }
    there = sorted(str(path) for path in planned if os.path.lexists(path))
    if there:
        raise UsageError(
            f"'{directory}' has {', '.join(os.path.relpath(path, directory) for path in there)}",
            fix="name another directory; nothing is overwritten",
        )
    try:
        for path, text in planned.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(
            f"'{error.filename}' cannot be written: {error.strerror}",
            fix="name another directory",
        ) from error
    return tuple(planned)


def _templates(place: Traversable, under: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield the path and the text of each template."""
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, under / entry.name)
        elif entry.name.endswith(_SUFFIX):
            name = entry.name.removesuffix(_SUFFIX)
            yield under / _NO_DOT.get(name, name), entry.read_text(encoding="utf-8")

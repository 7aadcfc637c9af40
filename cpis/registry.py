"""Finding a CPI by its name: an entry point of the group ``director.cpis``, or a class's path."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpis.contract import CloudError, Cpi

if TYPE_CHECKING:
    # A fifth of what a process of director-cpi takes, and not needed where a class is named.
    from importlib.metadata import EntryPoint

GROUP = "director.cpis"


def known_cpis() -> tuple[str, ...]:
    """Return the names of the installed CPIs, sorted."""
    from importlib.metadata import entry_points

    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def load_cpi(name: str, properties: Mapping[str, Any]) -> Cpi:
    """Return the CPI of this name, built from its properties.

    ``name`` is an entry point's name, or ``package.module:Class``. Raises CloudError: for an
    unknown name with the known ones, for one that does not import with what is missing, and
    whatever the CPI itself says of its properties.
    """
    make = _class_at(name) if ":" in name else _entry(name).load
    try:
        factory = make()
    except ImportError as error:
        missing = getattr(error, "name", None) or str(error)
        raise CloudError(
            f"the CPI '{name}' does not import: {error}",
            fix=f"install '{missing}', or the extra of this director that holds it",
        ) from error
    except AttributeError as error:
        raise CloudError(f"the CPI '{name}' does not exist: {error}") from error
    cpi = factory(properties)
    if not isinstance(cpi, Cpi):
        lacking = [method for method in dir(Cpi) if method[0] != "_" and not hasattr(cpi, method)]
        raise CloudError(f"'{name}' is no CPI: it lacks {', '.join(lacking)}")
    return cpi


def _entry(name: str) -> EntryPoint:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        return entry
    known = known_cpis()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise CloudError(f"there is no CPI '{name}'", fix=f"{hint}installed: {', '.join(known)}")


def _class_at(path: str) -> Any:
    module, _, attribute = path.partition(":")

    def load() -> Any:
        return getattr(importlib.import_module(module), attribute)

    return load

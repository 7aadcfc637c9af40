"""Variables on the operator's side: ``((name))`` filled in before a document is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from director.model.placeholders import Lookup, fill, look_up, variable_name

Given = Mapping[str, Any] | Lookup
"""Values by variable name, or a function from a whole reference (``tls.ca``) to a value that
raises KeyError for what it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolated:
    """What came out: ``missing`` references are still in ``data``; ``used`` and ``missing`` are
    variable names and references, sorted."""

    data: Any
    used: tuple[str, ...]
    missing: tuple[str, ...]


def interpolate(data: Any, values: Given) -> Interpolated:
    """Fill in what ``values`` knows; the rest stays as it is.

    Raises VariableError where a value does not fit: a part it lacks, or a mapping inside a text.
    """
    find = look_up(values) if isinstance(values, Mapping) else values
    used: set[str] = set()
    missing: set[str] = set()

    def lookup(reference: str) -> Any:
        try:
            value = find(reference)
        except KeyError:
            missing.add(reference)
            raise
        used.add(variable_name(reference))
        return value

    filled = fill(data, lookup)
    return Interpolated(data=filled, used=tuple(sorted(used)), missing=tuple(sorted(missing)))

"""Reading a variable's options: known keys, right types, everything else refused by name."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from director.model.errors import NotSupported, VariableError
from director.model.manifest import VARIABLE_OPTIONS, Variable


def refuse_unknown(variable: Variable) -> None:
    """Raise VariableError for an option its type does not have, NotSupported for ``consumes``."""
    known = VARIABLE_OPTIONS[variable.type]
    if "consumes" in variable.options:
        raise NotSupported(
            f"variable '{variable.name}' takes its names from a link ('consumes')",
            fix="write the names into 'common_name' and 'alternative_names'",
        )
    for key in variable.options:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise VariableError(
                f"variable '{variable.name}' of type '{variable.type}' has the unknown option "
                f"'{key}'",
                fix=f"did you mean '{close[0]}'?"
                if close
                else f"use {', '.join(sorted(known)) or 'no options'}",
            )


def number(variable: Variable, key: str, default: int, *, low: int, high: int) -> int:
    """Return an integer option between ``low`` and ``high``."""
    value = variable.options.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(variable, key, f"an integer from {low} to {high}")
    return value


def flag(variable: Variable, key: str) -> bool:
    """Return an option that is true or false, false where it is not given."""
    value = variable.options.get(key, False)
    if not isinstance(value, bool):
        raise _wrong(variable, key, "true or false")
    return value


def text(variable: Variable, key: str) -> str | None:
    """Return a text option, None where it is not given."""
    value = variable.options.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(variable, key, "a text")
    return value or None


def texts(variable: Variable, key: str) -> list[str]:
    """Return a list of texts, empty where it is not given."""
    value = variable.options.get(key) or []
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _wrong(variable, key, "a list of texts")
    return list(value)


def choice(variable: Variable, key: str, default: int, *, of: Collection[int]) -> int:
    """Return an integer option that is one ``of`` a few."""
    value: Any = variable.options.get(key, default)
    if isinstance(value, bool) or value not in of:
        raise _wrong(variable, key, f"one of {', '.join(map(str, of))}")
    return int(value)


def _wrong(variable: Variable, key: str, wanted: str) -> VariableError:
    return VariableError(
        f"option '{key}' of variable '{variable.name}' is not {wanted}",
        fix=f"set it to {wanted}",
    )

"""Placeholders such as ``((db_password))``: finding them in plain data and filling them in.

A *reference* is what stands between the brackets without blanks and ``!``: ``tls.ca`` or
``/shared/tls.ca``. Its name goes to the first dot after the last slash; the rest are keys inside
the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from director.model.errors import VariableError
from director.model.source import Path, show_path

_PLACEHOLDER = re.compile(r"\(\([ \t]*!?([-/.\w]+)[ \t]*\)\)")

Lookup = Callable[[str], Any]
"""Gives the value of a reference; raises KeyError for one it does not know."""


def find_placeholders(data: Any) -> set[str]:
    """Return every reference in ``data``, in keys and values, at any depth."""
    found: set[str] = set()
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if "((" in value:
                found.update(_PLACEHOLDER.findall(value))
        elif isinstance(value, Mapping):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return found


def fill(data: Any, lookup: Lookup, *, path: Path = ()) -> Any:
    """Return ``data`` with each placeholder replaced by its value, once: values are not searched.

    A string that is one placeholder becomes the value, whatever its type; inside a longer string
    and in keys only strings and integers fit, anything else raises VariableError naming the place
    (``path`` is that of ``data`` itself). What ``lookup`` does not know stays as it is. ``data``
    is not changed.
    """
    if isinstance(data, str):
        return _fill_text(data, lookup, path) if "((" in data else data
    if isinstance(data, Mapping):
        return _fill_mapping(data, lookup, path)
    if isinstance(data, list | tuple):
        return [fill(item, lookup, path=(*path, n)) for n, item in enumerate(data)]
    return data


def variable_name(reference: str) -> str:
    """Return the variable a reference means: ``tls`` for ``tls.ca``, ``/a/b`` for ``/a/b.c``."""
    return _split(reference)[0]


def look_up(values: Mapping[str, Any]) -> Lookup:
    """Return a lookup in ``values`` (by variable name) that follows the keys of a reference.

    It raises KeyError for an unknown name, VariableError where a known value lacks the key.
    """

    def find(reference: str) -> Any:
        name, keys = _split(reference)
        value = values[name]
        for key in keys:
            if not isinstance(value, Mapping):
                raise VariableError(
                    f"'(({reference}))' asks for '{key}', but variable '{name}' has no such part",
                    fix=f"write '(({name}))', or give '{name}' a value with the key '{key}'",
                )
            if key not in value:
                known = ", ".join(f"'{k}'" for k in value)
                raise VariableError(
                    f"'(({reference}))' asks for '{key}', which variable '{name}' lacks",
                    fix=f"use one of {known}",
                )
            value = value[key]
        return value

    return find


def _split(reference: str) -> tuple[str, list[str]]:
    directory, slash, rest = reference.rpartition("/")
    name, *keys = rest.split(".")
    return directory + slash + name, keys


def _fill_mapping(data: Mapping[Any, Any], lookup: Lookup, path: Path) -> dict[Any, Any]:
    filled: dict[Any, Any] = {}
    for key, value in data.items():
        new_key = key
        if isinstance(key, str) and "((" in key:
            new_key = _PLACEHOLDER.sub(lambda m: _as_text(m, lookup, path), key)
        if new_key in filled:
            raise VariableError(
                f"'{key}' in '{show_path(path)}' becomes a key that is there already",
                fix="give the variable another value, or rename one of the keys",
            )
        filled[new_key] = fill(value, lookup, path=(*path, key))
    return filled


def _fill_text(text: str, lookup: Lookup, path: Path) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole is None:
        return _PLACEHOLDER.sub(lambda m: _as_text(m, lookup, path), text)
    try:
        return lookup(whole[1])
    except KeyError:
        return text


def _as_text(match: re.Match[str], lookup: Lookup, path: Path) -> str:
    try:
        value = lookup(match[1])
    except KeyError:
        return match[0]
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise VariableError(
        f"the value of '{match[1]}' is neither text nor an integer and cannot stand inside the "
        f"text at '{show_path(path)}'",
        fix=f"let '(({match[1]}))' be the whole value, or pick a part of it",
    )

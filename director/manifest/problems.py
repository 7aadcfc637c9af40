"""Collecting what is wrong with a document, to show it all at once and in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from director.model.errors import DirectorError, raise_all
from director.model.source import Path, Source

MOST_SHOWN = 100

_NOUNS = {
    "instance_groups": "instance group",
    "jobs": "job",
    "releases": "release",
    "stemcells": "stemcell",
    "networks": "network",
    "variables": "variable",
    "azs": "AZ",
    "cpis": "CPI",
    "vm_types": "VM type",
    "vm_extensions": "VM extension",
    "disk_types": "disk type",
    "subnets": "subnet",
    "migrated_from": "migrated_from entry",
    "instances": "instance",
    "consumes": "consumed link",
    "provides": "provided link",
    "static_ips": "static_ips entry",
}
_NAMES = ("name", "alias", "range")


def raise_sorted(errors: Iterable[DirectorError]) -> None:
    """Raise all errors in the order of the file, or nothing where there are none.

    After a hundred the rest is only counted.
    """
    found = sorted(errors, key=_position)
    hidden = len(found) - MOST_SHOWN
    if hidden > 0:
        more = type(found[MOST_SHOWN])(
            f"{hidden} more errors are not shown", fix="correct these and try again"
        )
        found = [*found[:MOST_SHOWN], more]
    raise_all(found)


def _position(error: DirectorError) -> tuple[str, int, int]:
    where = error.where or Source("", 0, 0)
    return (where.file, where.line, where.column)


def describe(data: Any, path: Path, document: str) -> str:
    """Return how an operator calls what is at ``path``: ``'azs' of instance group 'web'``."""
    parts: list[str] = []
    keys: list[str] = []
    parent = ""
    for step in path:
        data = _enter(data, step)
        if isinstance(step, int) or parent in ("consumes", "provides"):
            if keys and keys[-1] == parent:
                keys.pop()
            _close_keys(parts, keys)
            parts.append(_element(parent, step, data))
        else:
            keys.append(step)
        parent = step if isinstance(step, str) else parent
    _close_keys(parts, keys)
    return " of ".join(reversed(parts)) or f"the {document}"


def _close_keys(parts: list[str], keys: list[str]) -> None:
    if keys:
        parts.append(f"'{'.'.join(keys)}'")
        keys.clear()


def _element(parent: str, step: str | int, data: Any) -> str:
    noun = _NOUNS.get(parent, f"'{parent}' entry")
    if isinstance(step, str):
        return f"{noun} '{step}'"
    if isinstance(data, Mapping):
        for key in _NAMES:
            if isinstance(data.get(key), str):
                return f"{noun} '{data[key]}'"
    return f"{noun} {step + 1}"


def _enter(data: Any, step: str | int) -> Any:
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return None

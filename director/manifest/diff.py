"""The difference of two documents as lines of YAML, in the format of BOSH's HTTP API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from director.manifest.emit import emit
from director.model.manifest import Json

Line = list[str | None]
"""A text and ``added``, ``removed`` or None."""

_FIRST_SECTIONS = (
    *("azs", "vm_types", "vm_extensions", "resource_pools", "compilation", "networks"),
    *("disk_types", "name", "stemcells", "releases", "update", "jobs", "release", "addons"),
    "variables",
)
_SECRET_KEYS = ("properties", "bosh")
_TELLING = re.compile("passw|passphrase|secret|token|credential|private_?key|access_?key", re.I)
_REDACTED = "<redacted>"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_ABSENT = object()


def diff_lines(old: Json | None, new: Json, *, redact: bool) -> list[Line]:
    """Return the lines an operator reads before saying yes; none where nothing differs.

    Values are compared as they are. With ``redact``, those below ``properties`` and ``bosh``, those
    whose key tells that they are secret, and credentials in a URL are shown as ``<redacted>``.
    """
    before = old or {}
    shown_before = redacted(before) if redact else before
    shown_new = redacted(new) if redact else new
    keys = [*before, *(key for key in new if key not in before)]
    rank = {key: n for n, key in enumerate(_FIRST_SECTIONS)}
    lines: list[Line] = []
    for key in sorted(keys, key=lambda key: rank.get(key, len(rank))):
        section = _mapping_lines(
            _only(before, key), _only(new, key), _only(shown_before, key), _only(shown_new, key), 0
        )
        if section and lines:
            lines.append(["", None])
        lines.extend(section)
    return lines


def redacted(data: Any, *, secret: bool = False) -> Any:
    """Return ``data`` with what may be secret replaced; mappings and lists keep their shape."""
    if isinstance(data, Mapping):
        return {
            key: redacted(value, secret=secret or key in _SECRET_KEYS or bool(_TELLING.search(key)))
            if key != "url" or secret or not isinstance(value, str)
            else _CREDENTIALS.sub(_REDACTED, value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [redacted(item, secret=secret) for item in data]
    return _REDACTED if secret and data is not None else data


def _only(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {key: data[key]} if key in data else {}


def _mapping_lines(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    shown_old: Mapping[str, Any],
    shown_new: Mapping[str, Any],
    indent: int,
) -> list[Line]:
    lines: list[Line] = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if _identity(before) == _identity(after):
            continue
        inner: list[Line] | None = None
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            inner = _mapping_lines(before, after, shown_old[key], shown_new[key], indent + 1)
        elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
            inner = _list_lines(before, after, shown_old[key], shown_new[key], indent)
        if inner is None:
            if before is not _ABSENT:
                lines += _yaml({key: shown_old[key]}, indent, "removed")
            if after is not _ABSENT:
                lines += _yaml({key: shown_new[key]}, indent, "added")
        elif inner:
            lines += [[_indented(f"{key}:", indent), None], *inner]
    return lines


def _list_lines(
    old: Sequence[Any],
    new: Sequence[Any],
    shown_old: Sequence[Any],
    shown_new: Sequence[Any],
    indent: int,
) -> list[Line]:
    in_old, in_new = set(map(_identity, old)), set(map(_identity, new))
    pairs_old, pairs_new = zip(old, shown_old, strict=True), zip(new, shown_new, strict=True)
    removed = [pair for pair in pairs_old if _identity(pair[0]) not in in_new]
    added = [pair for pair in pairs_new if _identity(pair[0]) not in in_old]
    for name in ("name", "range"):
        if all(isinstance(real, Mapping) and name in real for real, _ in (*removed, *added)):
            return _paired_lines(name, removed, added, indent)
    lines: list[Line] = []
    for status, items in (("removed", removed), ("added", added)):
        if items:
            lines += _yaml([shown for _, shown in items], indent, status)
    return lines


def _paired_lines(
    name: str, removed: list[tuple[Any, Any]], added: list[tuple[Any, Any]], indent: int
) -> list[Line]:
    waiting: dict[Any, list[tuple[Any, Any]]] = {}
    for pair in removed:
        waiting.setdefault(_identity(pair[0][name]), []).append(pair)
    lines: list[Line] = []
    for real, shown in added:
        partners = waiting.get(_identity(real[name]))
        if not partners:
            lines += _yaml([shown], indent, "added")
            continue
        old_real, old_shown = partners.pop(0)
        inner = _mapping_lines(old_real, real, old_shown, shown, indent + 1)
        if inner:
            lines += [[_indented(f"- {name}: {shown[name]}", indent), None], *inner]
    for left in waiting.values():
        for _, shown in left:
            lines += _yaml([shown], indent, "removed")
    return lines


def _identity(value: Any) -> Any:
    """Return something hashable that is equal only for equal values of equal types."""
    if isinstance(value, Mapping):
        return ("map", frozenset((key, _identity(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return ("list", tuple(_identity(item) for item in value))
    return (type(value).__name__, value)


def _yaml(data: Any, indent: int, status: str) -> list[Line]:
    return [[_indented(line, indent), status] for line in emit(data).splitlines()]


def _indented(text: str, indent: int) -> str:
    return "  " * indent + text if text else text

"""The YAML documents of releases: specs, manifests and index files, from anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from director.model.errors import ReleaseInvalid
from director.model.source import Source

MAX_BYTES = 10_000_000
_MAX_NODES = 200_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}")


def read_mapping(text: str, file: str) -> dict[str, Any]:
    """Return the mapping a document holds; an empty document is an empty mapping.

    Raises ReleaseInvalid, with the position where YAML knows it, for anything else, for a document
    that contains itself, and for one whose aliases unfold to more than any release needs.
    """
    if len(text) > MAX_BYTES:
        raise ReleaseInvalid(f"'{file}' is longer than {MAX_BYTES} characters")
    try:
        data = yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ReleaseInvalid(
            f"not YAML: {error.problem or error}",
            where=Source(file, mark.line + 1, mark.column + 1) if mark else None,
            fix="correct the YAML",
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ReleaseInvalid(f"'{file}' is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ReleaseInvalid(f"'{file}' must be a mapping of keys and values")
    if _nodes(data, {}, set()) > _MAX_NODES:
        raise ReleaseInvalid(f"'{file}' unfolds to more than {_MAX_NODES} values")
    return data


def _nodes(value: Any, known: dict[int, int], open_nodes: set[int]) -> int:
    """Count what ``value`` unfolds to; shared parts are counted at each use, walked once."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) in known:
        return known[id(value)]
    if id(value) in open_nodes or len(open_nodes) > 100:
        return _MAX_NODES + 1
    open_nodes.add(id(value))
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value
    total = 1 + sum(_nodes(child, known, open_nodes) for child in children)
    open_nodes.discard(id(value))
    known[id(value)] = total
    return total


def name_in(value: Any, what: str) -> str:
    """Return ``value`` if it can name a job, package, release or version: it becomes a path."""
    text = str(value)
    if isinstance(value, bool) or value is None or not _NAME.fullmatch(text):
        raise ReleaseInvalid(
            f"{what} '{text[:100]}' is not a name",
            fix="use letters, digits, '_', '-', '+' and '.', beginning with a letter or digit",
        )
    return text


def names_in(value: Any, what: str) -> tuple[str, ...]:
    """Return a list of names; nothing counts as an empty list."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ReleaseInvalid(f"{what} must be a list", fix="write it as '[a, b]'")
    return tuple(name_in(item, what) for item in value)

"""Ops files: changes to a document, applied in order, with BOSH's go-patch grammar.

The work is done on a tree with positions, so that an error in a patched manifest still points into
the file the value came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from director.manifest.located_yaml import Located
from director.manifest.nodes import ListNode, MapNode, Node, copy_node, from_data, to_data
from director.manifest.ops_paths import Token, inserts, parse_path
from director.manifest.patching import Mismatch, find_node, remove_node, replace_node
from director.manifest.suggest import did_you_mean, quoted
from director.model.errors import OpsFileError
from director.model.source import Source

_KEYS = ("type", "path", "value", "absent", "error")
_TYPES = ("replace", "remove", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation. ``number`` counts from 0, as error messages do; ``value`` is None where the
    operation has none; ``absent`` and ``error`` belong to ``test``."""

    type: str
    path: str
    tokens: tuple[Token, ...]
    number: int
    value: Node | None = None
    absent: bool = False
    error: str | None = None
    where: Source | None = None


def apply_ops(data: Any, ops: Sequence[Op] | Sequence[Mapping[str, Any]], file: str) -> Any:
    """Return ``data`` with the operations applied; ``data`` itself is not changed.

    ``ops`` are :func:`read_ops`'s, or plain mappings as in an ops file called ``file``. Raises
    OpsFileError at the first that does not apply, naming its number and path.
    """
    return to_data(_apply(from_data(data), _as_ops(ops, file)))


def patch(document: Located, ops: Located) -> Located:
    """Return ``document`` changed by the ops file ``ops``; every value keeps its own position."""
    return Located.of(_apply(copy_node(document.root), read_ops(ops)), document.file)


def find_path(data: Any, path: str) -> Any:
    """Return what is at ``path``; raises OpsFileError where there is nothing.

    An optional path that leads nowhere gives None.
    """
    try:
        found = find_node(from_data(data), parse_path(path))
    except (ValueError, Mismatch) as error:
        raise OpsFileError(
            f"nothing is at the path '{path}': {error}",
            fix="write a path such as /instance_groups/name=web/instances",
        ) from error
    return None if found is None else to_data(found)


def read_ops(located: Located) -> list[Op]:
    """Return the operations of an ops file; an empty file has none."""
    if isinstance(located.root, ListNode):
        items = located.root.items
        return [_read_op(item, n, located.file) for n, item in enumerate(items)]
    if located.data is None:
        return []
    raise OpsFileError(
        "an ops file is a list of operations, and this is not a list",
        where=located.where(()),
        fix="write it as '- type: replace', 'path: /...', 'value: ...'",
    )


def _as_ops(ops: Sequence[Op] | Sequence[Mapping[str, Any]], file: str) -> list[Op]:
    where = Source(file, 1, 1)
    return [
        op if isinstance(op, Op) else replace(_read_op(from_data(op), n, file), where=where)
        for n, op in enumerate(ops)
    ]


def _read_op(node: Node, number: int, file: str) -> Op:
    where = node.source or Source(file, 1, 1)
    if not isinstance(node, MapNode):
        raise _wrong(number, "is not a mapping", "give it the keys type, path and value", where)
    entries = node.entries
    for key, (at, _) in entries.items():
        if key not in _KEYS:
            what = f"has an unknown key '{key}'"
            raise _wrong(number, what, did_you_mean(key, _KEYS), at or where)
    plain = {key: to_data(value) for key, (_, value) in entries.items() if key != "value"}
    kind, path = plain.get("type"), plain.get("path")
    if kind not in _TYPES:
        at = entries["type"][1].source if "type" in entries else None
        raise _wrong(number, f"has the type '{kind}'", f"use one of {quoted(_TYPES)}", at or where)
    if not isinstance(path, str):
        raise _wrong(number, "has no path", "add 'path: /...'", where)
    op = Op(
        type=str(kind),
        path=path,
        tokens=_tokens(path, number, entries["path"][1].source or where),
        number=number,
        value=entries["value"][1] if "value" in entries else None,
        absent=bool(plain.get("absent")),
        error=plain.get("error"),
        where=entries["path"][1].source or where,
    )
    _check_op(op)
    return op


def _tokens(path: str, number: int, at: Source) -> tuple[Token, ...]:
    try:
        return parse_path(path)
    except ValueError as error:
        what = f"has the path '{path}': {error}"
        raise _wrong(number, what, "correct the path", at) from error


def _check_op(op: Op) -> None:
    if op.type != "replace" and inserts(op.tokens):
        what = f"has the path '{op.path}', which inserts"
        raise _wrong(op.number, what, "take :before or :after out", op.where)
    if op.type == "replace" and op.value is None:
        raise _wrong(op.number, "replaces without a value", "add 'value: ...'", op.where)
    if op.type == "remove" and op.value is not None:
        raise _wrong(op.number, "removes and has a value", "take the value out", op.where)


def _wrong(number: int, what: str, fix: str, at: Source | None) -> OpsFileError:
    return OpsFileError(f"operation [{number}] {what}", where=at, fix=fix)


def _apply(root: Node, ops: Sequence[Op]) -> Node:
    for op in ops:
        try:
            root = _apply_one(root, op)
        except Mismatch as error:
            own = f" ({op.error})" if op.error else ""
            raise OpsFileError(
                f"operation [{op.number}], {op.type} '{op.path}', does not apply: {error}{own}",
                where=op.where,
                fix=error.fix,
            ) from error
    return root


def _apply_one(root: Node, op: Op) -> Node:
    if op.type == "replace":
        assert op.value is not None
        return replace_node(root, op.tokens, copy_node(op.value))
    if op.type == "remove":
        return remove_node(root, op.tokens)
    _test(root, op)
    return root


def _test(root: Node, op: Op) -> None:
    try:
        found = find_node(root, op.tokens)
    except Mismatch:
        if op.absent:
            return
        raise
    if op.absent:
        raise Mismatch("something is there, and nothing should be", "remove it, or the test")
    wanted = to_data(op.value) if op.value is not None else None
    if found is None or to_data(found) != wanted:
        raise Mismatch("the value there is another one", "correct the value, or the test")

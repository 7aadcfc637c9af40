"""YAML as a tree that knows where everything stands, and plain data made from it.

The same node may hang in several places (anchors), so a tree is never changed in place once read;
:func:`copy_node` gives a tree of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from director.model.source import Path, Source


@dataclass(slots=True)
class ScalarNode:
    """A single value; ``text`` is as written where the value is not text itself."""

    source: Source | None
    value: Any
    text: str | None = None


@dataclass(slots=True)
class ListNode:
    """A list."""

    source: Source | None
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class MapNode:
    """A mapping, merges (``<<``) done: key to (where the key stands, value)."""

    source: Source | None
    entries: dict[str, tuple[Source | None, Node]] = field(default_factory=dict)


Node = ScalarNode | ListNode | MapNode


def to_data(node: Node) -> Any:
    """Return plain data; nothing in it is shared, even where the YAML has anchors."""
    if isinstance(node, MapNode):
        return {key: to_data(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, ListNode):
        return [to_data(item) for item in node.items]
    return node.value


def from_data(data: Any, source: Source | None = None) -> Node:
    """Return a tree for plain data, all of it standing at ``source``."""
    if isinstance(data, Mapping):
        entries = {key: (source, from_data(value, source)) for key, value in data.items()}
        return MapNode(source, entries)
    if isinstance(data, list | tuple):
        return ListNode(source, [from_data(item, source) for item in data])
    return ScalarNode(source, data)


def copy_node(node: Node) -> Node:
    """Return an equal tree that shares nothing that can change."""
    if isinstance(node, MapNode):
        entries = {key: (at, copy_node(value)) for key, (at, value) in node.entries.items()}
        return MapNode(node.source, entries)
    if isinstance(node, ListNode):
        return ListNode(node.source, [copy_node(item) for item in node.items])
    return node


def child(node: Node, step: str | int) -> Node:
    """Return what ``step`` leads to; raises KeyError."""
    if isinstance(node, MapNode) and isinstance(step, str):
        return node.entries[step][1]
    if isinstance(node, ListNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    raise KeyError(step)


def node_at(root: Node, path: Path) -> Node:
    """Return the node at ``path``; raises KeyError."""
    for step in path:
        root = child(root, step)
    return root


class ValueSources(Mapping[Path, Source]):
    """Where each value stands, by path; looked up in the tree, so that it costs no memory."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def __getitem__(self, path: Path) -> Source:
        source = node_at(self._root, path).source
        if source is None:
            raise KeyError(path)
        return source

    def __iter__(self) -> Iterator[Path]:
        return (path for path, node in _walk(self._root, ()) if node.source is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class KeySources(Mapping[Path, Source]):
    """Where the key of each mapping's entry stands, by the path of the entry."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def __getitem__(self, path: Path) -> Source:
        parent = node_at(self._root, path[:-1]) if path else None
        if not isinstance(parent, MapNode) or not isinstance(path[-1], str):
            raise KeyError(path)
        source = parent.entries[path[-1]][0]
        if source is None:
            raise KeyError(path)
        return source

    def __iter__(self) -> Iterator[Path]:
        for path, node in _walk(self._root, ()):
            if isinstance(node, MapNode):
                yield from ((*path, k) for k, (at, _) in node.entries.items() if at is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _walk(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    yield path, node
    if isinstance(node, MapNode):
        for key, (_, value) in node.entries.items():
            yield from _walk(value, (*path, key))
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _walk(item, (*path, index))

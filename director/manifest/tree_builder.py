"""From a YAML parser's events to a tree, within bounds: depth, size with aliases expanded, tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from director.manifest.nodes import ListNode, MapNode, Node, ScalarNode
from director.manifest.scalars import plain_value
from director.model.errors import YamlError, raise_all
from director.model.source import Source

MOST_NODES = 500_000
DEEPEST = 100
MOST_ERRORS = 100

_YAML_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class _Frame:
    """A list or mapping under construction. ``size`` counts nodes with aliases expanded."""

    node: ListNode | MapNode
    anchor: str | None
    size: int = 1
    height: int = 1
    key: tuple[str, Source] | None = None
    merging: bool = False
    merged: list[MapNode] = field(default_factory=list)
    merge_key: Source | None = None


class TreeBuilder:
    """Builds the tree of one document from parser events, without recursion.

    :meth:`take` raises YamlError for what makes going on useless; duplicate keys are collected in
    ``errors``.
    """

    def __init__(self, file: str) -> None:
        self.root: Node = ScalarNode(Source(file, 1, 1), None)
        self.errors: list[YamlError] = []
        self._file = file
        self._documents = 0
        self._count = 0
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._take: dict[type, Callable[[Any, Source], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open_mapping,
            yaml.SequenceStartEvent: self._open_list,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def take(self, event: yaml.Event) -> None:
        act = self._take.get(type(event))
        if act is not None:
            mark = event.start_mark
            assert mark is not None
            act(event, Source(self._file, mark.line + 1, mark.column + 1))

    # -- events ---------------------------------------------------------------------------------

    def _document(self, _event: Any, at: Source) -> None:
        self._documents += 1
        if self._documents > 1:
            _refuse("a second document begins here", at, "put one document into each file")

    def _scalar(self, event: Any, at: Source) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, MapNode) and not _awaits_value(top):
            plain = event.implicit[0] and not event.style
            self._key(top, event.value, at, plain=plain)
            if event.anchor:
                self._anchors[event.anchor] = (ScalarNode(at, event.value), 1, 0)
            return
        node = self._scalar_node(event, at)
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        self._add(node, 1, 0, at)

    def _scalar_node(self, event: Any, at: Source) -> ScalarNode:
        tag = event.tag
        quoted = bool(event.style) or tag == "!"
        if tag in (None, "!"):
            if quoted:
                return ScalarNode(at, event.value)
        elif tag in (f"{_YAML_TAG}str", f"{_YAML_TAG}timestamp"):
            return ScalarNode(at, event.value)
        elif tag not in (f"{_YAML_TAG}{kind}" for kind in ("int", "float", "bool", "null")):
            _refuse_tag(tag, at)
        try:
            value = plain_value(event.value)
        except ValueError as error:
            _refuse(str(error), at, "put it in quotes if it is meant as text")
        return ScalarNode(at, value, None if isinstance(value, str) else event.value)

    def _open_mapping(self, event: Any, at: Source) -> None:
        if event.tag not in (None, "!", f"{_YAML_TAG}map"):
            _refuse_tag(event.tag, at)
        self._open(MapNode(at), event.anchor, at)

    def _open_list(self, event: Any, at: Source) -> None:
        if event.tag not in (None, "!", f"{_YAML_TAG}seq"):
            _refuse_tag(event.tag, at)
        self._open(ListNode(at), event.anchor, at)

    def _open(self, node: ListNode | MapNode, anchor: str | None, at: Source) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, MapNode) and not _awaits_value(top):
            _refuse(
                "a key is a list or a mapping; only text can be a key",
                at,
                "put the value in quotes if it begins with '{' or '['",
            )
        if len(self._stack) >= DEEPEST:
            _refuse(f"the document is nested deeper than {DEEPEST} levels", at, "flatten it")
        if anchor:
            self._anchors[anchor] = None  # not complete: an alias to it now would contain itself
        self._stack.append(_Frame(node, anchor))

    def _close(self, _event: Any, at: Source) -> None:
        frame = self._stack.pop()
        if frame.merged and isinstance(frame.node, MapNode):
            _merge(frame.node, frame.merged)
        if frame.anchor:
            self._anchors[frame.anchor] = (frame.node, frame.size, frame.height)
        self._add(frame.node, frame.size, frame.height, at)

    def _alias(self, event: Any, at: Source) -> None:
        if event.anchor not in self._anchors:
            _refuse(
                f"nothing is anchored as '&{event.anchor}' before this place",
                at,
                f"define '&{event.anchor}' above, or quote the value if it is meant as text",
            )
        found = self._anchors[event.anchor]
        if found is None:
            _refuse(
                f"the anchor '&{event.anchor}' contains itself", at, f"remove '*{event.anchor}'"
            )
        node, size, height = found
        top = self._stack[-1]
        if isinstance(top.node, MapNode) and not _awaits_value(top):
            if not isinstance(node, ScalarNode):
                _refuse("a key is a list or a mapping; only text can be a key", at, "name the key")
            text = node.text if node.text is not None else str(node.value)
            self._key(top, text, at, plain=False)
            return
        self._add(node, size, height, at)

    # -- building -------------------------------------------------------------------------------

    def _key(self, frame: _Frame, text: str, at: Source, *, plain: bool) -> None:
        if plain and text == "<<":
            if frame.merge_key is not None:
                self._duplicate("<<", frame.merge_key, at, "write one '<<: [*first, *second]'")
            frame.merge_key, frame.merging = at, True
            return
        if plain and text in ("", "~", "null"):
            _refuse("a key is empty", at, "write the key before the colon")
        assert isinstance(frame.node, MapNode)
        if text in frame.node.entries:
            first = frame.node.entries[text][0]
            self._duplicate(text, first, at, "keep one of the two")
        frame.key = (text, at)

    def _duplicate(self, key: str, first: Source | None, at: Source, fix: str) -> None:
        line = f" (first in line {first.line})" if first else ""
        self.errors.append(YamlError(f"the key '{key}' is there twice{line}", where=at, fix=fix))
        if len(self.errors) >= MOST_ERRORS:
            raise_all(self.errors)

    def _add(self, node: Node, size: int, height: int, at: Source) -> None:
        self._count += 1
        top = self._stack[-1] if self._stack else None
        expanded = size if top is None else top.size + size
        if expanded > MOST_NODES or self._count > MOST_NODES:
            _refuse(
                f"the document has more than {MOST_NODES:,} values, aliases expanded",
                at,
                "use fewer anchors, or split the file",
            )
        if len(self._stack) + height > DEEPEST:
            _refuse(f"the document is nested deeper than {DEEPEST} levels", at, "flatten it")
        if top is None:
            self.root = node
            return
        top.size = expanded
        top.height = max(top.height, height + 1)
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.merging:
            top.merging = False
            top.merged = _mappings_to_merge(node, at)
        else:
            assert top.key is not None
            key, key_at = top.key
            top.node.entries[key] = (key_at, node)
            top.key = None


def _awaits_value(frame: _Frame) -> bool:
    return frame.key is not None or frame.merging


def _mappings_to_merge(node: Node, at: Source) -> list[MapNode]:
    wanted = node.items if isinstance(node, ListNode) else [node]
    found = [item for item in wanted if isinstance(item, MapNode)]
    if len(found) != len(wanted):
        _refuse(
            "'<<' merges mappings, and this is something else",
            at,
            "give it an alias of a mapping ('<<: *defaults') or a list of them",
        )
    return found


def _merge(node: MapNode, merged: list[MapNode]) -> None:
    """Lay the mapping's own entries over the merged ones, of which the first mentioned wins."""
    own = node.entries
    result: dict[str, tuple[Source | None, Node]] = {}
    for other in reversed(merged):
        result.update(other.entries)
    result.update(own)
    node.entries = result


def _refuse_tag(tag: str, at: Source) -> NoReturn:
    shown = tag.replace(_YAML_TAG, "!!")
    _refuse(f"the YAML tag '{shown}' is not allowed", at, "write plain text, numbers and lists")


def _refuse(what: str, at: Source, fix: str) -> NoReturn:
    raise YamlError(what, where=at, fix=fix)

"""Finding, replacing and removing in a tree, token by token, with go-patch's rules."""

from __future__ import annotations

from collections.abc import Callable

from director.manifest.nodes import ListNode, MapNode, Node, ScalarNode
from director.manifest.ops_paths import Append, Index, Key, Match, Token, show_tokens
from director.manifest.suggest import did_you_mean

Put = Callable[[Node], None]


class Mismatch(Exception):
    """The document is not what the path expects; who knows the operation makes an OpsFileError."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def find_node(root: Node, tokens: tuple[Token, ...]) -> Node | None:
    """Return what is at ``tokens``, None where an optional part is missing."""
    node: Node | None = root
    for n, token in enumerate(tokens):
        assert node is not None
        node = _step(node, token, tokens[: n + 1])
        if node is None:
            return None
    return node


def remove_node(root: Node, tokens: tuple[Token, ...]) -> Node:
    """Take out what is at ``tokens``, in place; a missing optional part leaves all as it is."""
    if not tokens:
        raise Mismatch("the whole document cannot be removed", "name a part of it")
    parent = find_node(root, tokens[:-1])
    if parent is None or _step(parent, tokens[-1], tokens) is None:
        return root
    last = tokens[-1]
    if isinstance(last, Key):
        assert isinstance(parent, MapNode)
        del parent.entries[last.key]
    else:
        assert isinstance(parent, ListNode)
        del parent.items[_position(parent, last, tokens)]
    return root


def replace_node(root: Node, tokens: tuple[Token, ...], value: Node) -> Node:
    """Put ``value`` at ``tokens``, in place, making missing optional parts; returns the root."""
    if not tokens:
        return value
    node = root
    for n, token in enumerate(tokens[:-1]):
        so_far = tokens[: n + 1]
        found = _step(node, token, so_far)
        node = found if found is not None else _make(node, token, tokens, n, value)
    _put(node, tokens, value)
    return root


def _step(node: Node, token: Token, so_far: tuple[Token, ...]) -> Node | None:
    """Follow one token; None where it is optional and leads nowhere."""
    if isinstance(token, Key):
        mapping = _mapping(node, so_far)
        if token.key in mapping.entries:
            return mapping.entries[token.key][1]
        if token.optional:
            return None
        raise Mismatch(
            f"there is no key '{token.key}' at '{show_tokens(so_far)}'",
            did_you_mean(token.key, mapping.entries, f"write '{token.key}?' if it may be missing"),
        )
    items = _list(node, so_far)
    if isinstance(token, Append):
        raise Mismatch("'-' stands behind the last item, where nothing is", "use -1 for the last")
    if isinstance(token, Match) and token.optional and not _matches(items, token):
        return None
    return items.items[_position(items, token, so_far)]


def _make(parent: Node, token: Token, tokens: tuple[Token, ...], n: int, like: Node) -> Node:
    """Make the missing optional part at ``tokens[n]``, of the kind the next token needs."""
    made: Node
    if isinstance(token, Match):
        assert isinstance(parent, ListNode)
        made = MapNode(
            like.source, {token.key: (like.source, ScalarNode(like.source, token.value))}
        )
        parent.items.append(made)
        return made
    following = tokens[n + 1]
    if isinstance(following, Index):
        raise Mismatch(
            f"'{show_tokens(tokens[: n + 1])}' is missing, and a new list has no item "
            f"{following.index}",
            "use '-' to add the first item",
        )
    made = MapNode(like.source) if isinstance(following, Key) else ListNode(like.source)
    assert isinstance(token, Key)
    assert isinstance(parent, MapNode)
    parent.entries[token.key] = (like.source, made)
    return made


def _put(parent: Node, tokens: tuple[Token, ...], value: Node) -> None:
    token = tokens[-1]
    if isinstance(token, Key):
        mapping = _mapping(parent, tokens)
        if token.key not in mapping.entries and not token.optional:
            _step(parent, token, tokens)  # raises, naming the keys there are
        mapping.entries[token.key] = (value.source, value)
        return
    items = _list(parent, tokens).items
    if isinstance(token, Append):
        items.append(value)
        return
    assert isinstance(parent, ListNode)
    if isinstance(token, Match) and token.optional and not _matches(parent, token):
        items.append(value)
        return
    position = _position(parent, token, tokens)
    insertion = token.modifiers[-1] if token.modifiers else ""
    if insertion == "before":
        items.insert(position, value)
    elif insertion == "after":
        items.insert(position + 1, value)
    else:
        items[position] = value


def _position(items: ListNode, token: Token, so_far: tuple[Token, ...]) -> int:
    assert isinstance(token, Index | Match)
    if isinstance(token, Index):
        index = token.index
    else:
        matches = _matches(items, token)
        if len(matches) != 1:
            count = f"{len(matches)} items match" if matches else "no item matches"
            raise Mismatch(
                f"{count} '{show_tokens(so_far)}', and exactly one should",
                _help_for_match(items, token, len(matches)),
            )
        index = matches[0]
    index += token.modifiers.count("next") - token.modifiers.count("prev")
    length = len(items.items)
    if not -length <= index < length:
        raise Mismatch(
            f"'{show_tokens(so_far)}' is item {index} of a list with {length}",
            "use an index the list has, or '-' to append",
        )
    return index % length


def _matches(items: ListNode, token: Match) -> list[int]:
    # Values compare as text only: version=1 does not match the number 1.
    found = []
    for n, item in enumerate(items.items):
        if isinstance(item, MapNode) and token.key in item.entries:
            value = item.entries[token.key][1]
            if isinstance(value, ScalarNode) and value.value == token.value:
                found.append(n)
    return found


def _help_for_match(items: ListNode, token: Match, count: int) -> str:
    if count > 1:
        return "use the index of the one that is meant"
    known = [
        value.value
        for item in items.items
        if isinstance(item, MapNode)
        and token.key in item.entries
        and isinstance(value := item.entries[token.key][1], ScalarNode)
    ]
    if any(str(value) == token.value for value in known):
        return f"quote the '{token.value}' in the document: it is not text there"
    texts = [value for value in known if isinstance(value, str)]
    optional = f"write '{token.key}={token.value}?' to add it"
    return did_you_mean(token.value, texts, optional)


def _mapping(node: Node, so_far: tuple[Token, ...]) -> MapNode:
    if isinstance(node, MapNode):
        return node
    raise _wrong_kind(node, "a mapping", so_far)


def _list(node: Node, so_far: tuple[Token, ...]) -> ListNode:
    if isinstance(node, ListNode):
        return node
    raise _wrong_kind(node, "a list", so_far)


def _wrong_kind(node: Node, wanted: str, so_far: tuple[Token, ...]) -> Mismatch:
    kinds = {MapNode: "a mapping", ListNode: "a list"}
    empty = isinstance(node, ScalarNode) and node.value is None
    kind = "empty" if empty else kinds.get(type(node), "a single value")
    place = show_tokens(so_far[:-1])
    return Mismatch(
        f"'{place}' is {kind}, and should be {wanted}", f"correct the path at '{place}'"
    )

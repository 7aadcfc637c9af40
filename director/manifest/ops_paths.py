"""Paths of ops files, as BOSH's go-patch writes them: ``/instance_groups/name=web?/jobs/-``."""

from __future__ import annotations

from dataclasses import dataclass

_MODIFIERS = ("prev", "next", "before", "after")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping; an optional one need not be there."""

    key: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """A place in a list, counted from the end when negative."""

    index: int
    modifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Append:
    """The place behind the last item of a list."""


@dataclass(frozen=True, slots=True)
class Match:
    """The one mapping of a list whose ``key`` is the text ``value``."""

    key: str
    value: str
    optional: bool = False
    modifiers: tuple[str, ...] = ()


Token = Key | Index | Append | Match


def parse_path(path: str) -> tuple[Token, ...]:
    """Return the tokens of ``path``; the root ``/`` has none. Raises ValueError saying why not."""
    if not path.startswith("/"):
        raise ValueError("a path begins with '/'")
    if path == "/":
        return ()
    tokens: list[Token] = []
    optional = False
    written = path[1:].split("/")
    for number, text in enumerate(written):
        token, optional = _token(text, optional=optional, last=number == len(written) - 1)
        tokens.append(token)
    return tuple(tokens)


def _token(text: str, *, optional: bool, last: bool) -> tuple[Token, bool]:
    name, *modifiers = text.split(":")
    for modifier in modifiers:
        if modifier not in _MODIFIERS:
            raise ValueError(f"':{modifier}' is none of :prev, :next, :before and :after")
    _check_order(modifiers, last=last)
    name = name.replace("~1", "/").replace("~7", ":").replace("~0", "~")
    if name == "-":
        if not last:
            raise ValueError("'-' appends to a list and can only be the last part")
        if modifiers:
            raise ValueError("'-' takes no modifier")
        return Append(), optional
    if _is_integer(name):
        return Index(int(name), tuple(modifiers)), optional
    if name.endswith("?"):
        name, optional = name[:-1], True
    key, equals, value = name.partition("=")
    if equals:
        return Match(key, value, optional, tuple(modifiers)), optional
    if modifiers:
        raise ValueError(f"':{modifiers[0]}' stands behind the key '{name}', and needs a list item")
    return Key(name, optional), optional


def _check_order(modifiers: list[str], *, last: bool) -> None:
    for modifier in modifiers[:-1] if last else modifiers:
        if modifier in ("before", "after"):
            raise ValueError(f"nothing may follow ':{modifier}'")


def inserts(tokens: tuple[Token, ...]) -> bool:
    """Whether the path names a place between items rather than an item."""
    last = tokens[-1] if tokens else None
    return isinstance(last, Index | Match) and bool({"before", "after"} & set(last.modifiers))


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 9


def show_tokens(tokens: tuple[Token, ...]) -> str:
    """Return tokens as a path again, for messages."""
    return "/" + "/".join(_show(token) for token in tokens)


def _show(token: Token) -> str:
    if isinstance(token, Append):
        return "-"
    if isinstance(token, Index):
        return ":".join((str(token.index), *token.modifiers))
    optional = "?" if token.optional else ""
    if isinstance(token, Match):
        return ":".join((f"{token.key}={token.value}{optional}", *token.modifiers))
    return f"{token.key}{optional}"

"""Plain YAML scalars as BOSH reads them: YAML 1.1, without dates and base 60.

Dates and ``12:30:45`` stay text, because the command line of BOSH keeps them so and nothing after
it could carry them.
"""

from __future__ import annotations

import re
from typing import Any

_BOOLEANS = {
    word: truth
    for truth, words in {True: "y yes true on", False: "n no false off"}.items()
    for base in words.split()
    for word in (base, base.capitalize(), base.upper())
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0b(?P<bin>[01_]+)|0x(?P<hex>[0-9a-fA-F_]+)|0(?P<oct>[0-7_]+)"
    r"|(?P<dec>0|[1-9][0-9_]*))"
)
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST = frozenset("0123456789+-.~yYnNtTfFoO")
_BASES = {"bin": 2, "oct": 8, "dec": 10, "hex": 16}
_LONGEST_NUMBER = 64
"""Longer rows of digits are identifiers, and stay text with every digit kept."""


class WrittenFloat(float):
    """A number that loses something when written again: ``1.10``. ``text`` is as it was written.

    Versions are the reason: ``version: 1.10`` means another release than 1.1.
    """

    __slots__ = ("text",)

    def __new__(cls, text: str) -> WrittenFloat:
        made = super().__new__(cls, text.replace("_", ""))
        made.text = text
        return made

    text: str

    def __reduce__(self) -> tuple[type[WrittenFloat], tuple[str]]:
        return (WrittenFloat, (self.text,))


def plain_value(text: str) -> Any:
    """Return what an unquoted ``text`` means: None, a boolean, a number, or the text itself.

    Raises ValueError for infinity and not-a-number, which no JSON can carry.
    """
    if text in _NULLS:
        return None
    if text[0] not in _FIRST or len(text) > _LONGEST_NUMBER:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    integer = _INTEGER.fullmatch(text)
    if integer:
        return _integer(integer, text)
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        return number if repr(number) == text else WrittenFloat(text)
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"'{text}' is not a number that can be stored")
    return text


def _integer(match: re.Match[str], text: str) -> int | str:
    kind = match.lastgroup
    digits = match[kind].replace("_", "") if kind else ""
    if not kind or not digits:
        return text
    value = int(digits, _BASES[kind])
    return -value if match["sign"] == "-" else value


def as_text(value: Any) -> str:
    """Return a scalar as the operator wrote it: versions and tags may be numbers in YAML."""
    if isinstance(value, WrittenFloat):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

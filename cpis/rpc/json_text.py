"""Reading and writing JSON that another program wrote or will read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from datetime import date
from typing import Any

_DEEPEST = 64


class Malformed(ValueError):
    """A text is not what it has to be; the message completes a sentence that begins with it."""


def to_json(data: Any) -> bytes:
    """Return data as UTF-8 JSON; dates, as YAML reads them, become text. Raises Malformed."""
    try:
        return json.dumps(data, default=_plain, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Malformed(f"cannot be written as JSON: {error}") from error


def from_json(text: bytes) -> Any:
    """Return what hostile JSON says; raises Malformed, with the place where it is wrong.

    Refused are also NaN, halves of surrogate pairs, and what is nested deeper than 64.
    """
    try:
        data = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
        _measure(data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"is no JSON: {_reason(error)}") from error
    return data


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _measure(data: Any) -> None:
    level = [data]
    for _ in range(_DEEPEST):
        texts = [item for item in level if isinstance(item, str)]
        "".join(texts).encode("utf-8")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise ValueError("it is nested too deep")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set | Sequence) and not isinstance(value, bytes):
        return list(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is no JSON value")

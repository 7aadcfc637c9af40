"""A value that must not be shown."""

from __future__ import annotations

from typing import Any


class Secret:
    """Wraps a credential so that printing, formatting or logging it shows ``<redacted>``.

    Only :meth:`reveal` yields the value. Two secrets are equal when their values are.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value; call it only where the value is used."""
        return self._value

    def __repr__(self) -> str:
        return "<redacted>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash(repr(type(self)))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")

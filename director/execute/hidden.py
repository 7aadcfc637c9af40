"""Values that a task must not show, and taking them out of what it writes.

Whoever fills in variables, or sends a secret to a cloud, tells the task so with :func:`hide`; from
then on the values are in none of its logs, whoever echoes them.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from director.model.placeholders import Lookup, fill

HIDDEN = "<redacted>"
_SHORT = 4
"""A shorter value is looked for as a word only: its letters are in every other one."""


class Hidden:
    """The values of one task; its threads share them.

    A deployment of many VMs hides thousands of values, and every line that is logged is searched
    for all of them: so they are found by their first letters, and adding one costs the same
    however many there are.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._by_start: dict[str, tuple[str, ...]] = {}
        self._short: set[str] = set()
        self._words: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, values: frozenset[str]) -> None:
        """Hide these texts from now on."""
        with self._lock:
            new = values - self._values
            self._values |= new
            short = set()
            for form in {form for value in new for form in _forms(value)}:
                if len(form) < _SHORT:
                    short.add(form)
                    continue
                known = {*self._by_start.get(form[:_SHORT], ()), form}
                # The longest first, so that no part of it is left.
                self._by_start[form[:_SHORT]] = tuple(sorted(known, key=len, reverse=True))
            if short:
                self._short |= short
                either = "|".join(re.escape(f) for f in sorted(self._short, key=len, reverse=True))
                self._words = re.compile(rf"(?<!\w)(?:{either})(?!\w)")

    def from_text(self, text: str) -> str:
        """Return ``text`` without any of the values, however they are written in it."""
        if self._by_start:
            text = self._without_long(text)
        return text if self._words is None else self._words.sub(HIDDEN, text)

    def _without_long(self, text: str) -> str:
        by_start, parts, kept, at = self._by_start, [], 0, 0
        while at <= len(text) - _SHORT:
            for form in by_start.get(text[at : at + _SHORT], ()):
                if text.startswith(form, at):
                    parts += [text[kept:at], HIDDEN]
                    kept = at = at + len(form)
                    break
            else:
                at += 1
        return "".join([*parts, text[kept:]])

    def from_data(self, data: Any) -> Any:
        """Return JSON data without any of the values, in keys too; its shape stays."""
        if isinstance(data, Mapping):
            return {self.from_text(str(k)): self.from_data(v) for k, v in data.items()}
        if isinstance(data, list | tuple):
            return [self.from_data(item) for item in data]
        if isinstance(data, str):
            return HIDDEN if data in self._values else self.from_text(data)
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        return HIDDEN if is_number and str(data) in self._values else data


_current: contextvars.ContextVar[Hidden | None] = contextvars.ContextVar("hidden", default=None)


def begin_hiding() -> contextvars.Token[Hidden | None]:
    """Let the code that runs in this context hide values of its own; undo with the token."""
    return _current.set(Hidden())


def end_hiding(token: contextvars.Token[Hidden | None]) -> None:
    """Forget the values hidden since :func:`begin_hiding`."""
    _current.reset(token)


def hide(values: frozenset[str]) -> None:
    """Hide texts in what the current task writes; outside of a task nothing is written."""
    hidden = _current.get()
    if hidden is not None:
        hidden.add(values)


def hidden_values() -> Hidden:
    """Return what the current task hides."""
    return _current.get() or Hidden()


def fill_in(data: Any, lookup: Lookup) -> tuple[Any, frozenset[str]]:
    """Return ``data`` with its placeholders filled in, and every text that came in that way."""
    values: set[str] = set()

    def used(reference: str) -> Any:
        value = lookup(reference)
        values.update(texts_of(value))
        return value

    filled = fill(data, used)
    values.update(_changed(data, filled))
    return filled, frozenset(values)


def texts_of(data: Any) -> Iterator[str]:
    """Yield each text and number of plain data, as text; what is empty or a yes or no hides
    nothing."""
    if isinstance(data, Mapping):
        for value in data.values():
            yield from texts_of(value)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from texts_of(item)
    elif isinstance(data, str | int | float) and not isinstance(data, bool) and str(data).strip():
        yield str(data)


def _changed(before: Any, after: Any) -> Iterator[str]:
    """Yield the texts that filling in changed: what stands inside one cannot be told apart."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for (old_key, old), (new_key, new) in zip(before.items(), after.items(), strict=True):
            yield from _changed(old_key, new_key)
            yield from _changed(old, new)
    elif isinstance(before, list | tuple) and isinstance(after, list):
        for old, new in zip(before, after, strict=True):
            yield from _changed(old, new)
    elif before != after:
        yield from texts_of(after)


def _forms(value: str) -> Iterator[str]:
    """Yield how a value may stand in a text: as it is, in JSON, in a URL, and line by line."""
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    for line in value.splitlines():
        if len(line.strip()) >= _SHORT:
            yield line.strip()

"""What became of a request that failed, and how one thing is made by one thread only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls
from cpis.libcloud_base.judge import TakenAlready, Uncertain

T = TypeVar("T")

_VISIBLE_TRIES = 6
"""How often is looked for what a lost request may have made."""


class Turns:
    """Locks by name: threads that make the same thing wait for each other, others do not."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._guard = threading.Lock()

    @contextmanager
    def take(self, name: str) -> Iterator[None]:
        """Hold the lock of a name, for as long as the context lasts."""
        with self._guard:
            turn = self._locks.setdefault(name, threading.Lock())
        with turn:
            yield


def act(doing: Callable[[], Any], done: Callable[[], bool]) -> None:
    """Act; an error is none when what was wanted is so: an answer was lost on the way."""
    try:
        doing()
    except CloudError:
        if not done():
            raise


def obtain(
    calls: Calls[Any],
    make: Callable[[], T | None],
    look: Callable[[], T | None],
    *,
    look_first: bool,
    discard: Callable[[T], bool] = lambda _: False,
) -> T:
    """Return what ``look`` finds, or what ``make`` makes, even if its answer was lost.

    ``discard`` removes what is found but of no use, and tells whether it did. Raises the error of
    ``make`` where there is nothing to return; ``ok_to_retry`` then also means that what stood in
    the way is gone or going.
    """
    there = look() if look_first else None
    if there is not None and not discard(there):
        return there
    try:
        made = make()
    except CloudError as error:
        there = _seen(calls, look) if isinstance(error, Uncertain) else look()
        if there is not None and not discard(there):
            return there
        error.ok_to_retry = error.ok_to_retry or isinstance(error, TakenAlready)
        raise
    if made is None:
        made = calls.until("showing what was made", look, timeout_s=60.0)
    return made


def _seen(calls: Calls[Any], look: Callable[[], T | None]) -> T | None:
    """Look until it is seen, or so often that it cannot be there."""
    tries = 0

    def once() -> tuple[T | None] | None:
        nonlocal tries
        tries += 1
        found = look()
        return (found,) if found is not None or tries >= _VISIBLE_TRIES else None

    return calls.until("showing what was made", once, timeout_s=60.0)[0]

"""Asking a cloud: a driver for each thread, retries with a budget, errors as the CPI's own.

libcloud's connections belong to one thread each, so every thread has a driver of its own and no
thread waits for another. What is retried, how often and how long is decided here; what an error of
one cloud means is told by that cloud's ``judge``.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from cpis.contract import CloudError

_log = logging.getLogger(__name__)

D = TypeVar("D")
T = TypeVar("T")


class Meaning(Enum):
    """What a failed request means."""

    REFUSED_FOR_NOW = "refused for now"
    """The cloud did nothing: throttled or busy. Every request may be sent again."""

    UNKNOWN = "unknown"
    """A timeout, a broken connection or a 5xx: the cloud may have acted. Only a request that may
    be repeated is sent again."""

    FINAL = "final"
    """The cloud said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A judge's answer: what the failure means, what to raise, how long to wait at least."""

    meaning: Meaning
    error: CloudError
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is tried again: at most ``tries`` times and ``budget_s`` in all.

    Pauses grow from ``first_s`` to ``longest_s``, each drawn at random between half and all of it,
    so that many callers that were refused together do not come back together.
    """

    tries: int = 12
    budget_s: float = 120.0
    first_s: float = 0.2
    longest_s: float = 15.0


class Calls(Generic[D]):
    """How a CPI asks its cloud. Thread-safe, and without a lock on the way of a request.

    ``make_driver`` is called once for each thread. ``judge`` tells what an exception of libcloud
    means; it is given the name of the action too, and raises what it does not know.
    """

    def __init__(
        self,
        make_driver: Callable[[], D],
        judge: Callable[[str, Exception], Verdict],
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._make_driver = make_driver
        self._judge = judge
        self._patience = patience or Patience()
        self._sleep = sleep
        self._clock = clock
        self._chance = chance
        self._own = threading.local()

    @property
    def driver(self) -> D:
        """This thread's driver."""
        made: D | None = getattr(self._own, "driver", None)
        if made is None:
            made = self._own.driver = self._make_driver()
        return made

    def ask(self, action: str, request: Callable[[D], T], *, repeatable: bool = True) -> T:
        """Return what ``request`` returns, trying again as its failures allow.

        ``repeatable`` says that asking twice does no more than asking once: it reads, deletes, or
        carries a client token. Raises CloudError; its ``ok_to_retry`` is true only where the cloud
        certainly did nothing or the request may be repeated; of a final refusal the judge says it.
        """
        patience, began, tries = self._patience, self._clock(), 0
        while True:
            tries += 1
            try:
                return request(self.driver)
            except CloudError:
                raise
            except Exception as caught:  # noqa: BLE001 -- the judge raises what it does not know
                verdict = self._judge(action, caught)
            again = verdict.meaning is Meaning.REFUSED_FOR_NOW or (
                verdict.meaning is Meaning.UNKNOWN and repeatable
            )
            pause_s = max(self._pause_s(tries), verdict.wait_s)
            spent_s = self._clock() - began
            if not again or tries >= patience.tries or spent_s + pause_s > patience.budget_s:
                if verdict.meaning is not Meaning.FINAL:
                    verdict.error.ok_to_retry = again
                # Not chained: errors below hold URLs, with signatures and user data in them.
                raise verdict.error
            _log.debug("%s; again in %.1f s", verdict.error.what, pause_s)
            self._sleep(pause_s)

    def until(
        self,
        doing: str,
        look: Callable[[], T | None],
        *,
        timeout_s: float,
        first_s: float | None = None,
    ) -> T:
        """Return what ``look`` gives once it is not None; raises CloudError after ``timeout_s``.

        ``doing`` completes the sentence "the cloud did not finish ...". Pauses grow from
        ``first_s``, by default half of what a refused request waits.
        """
        began, tries = self._clock(), 0
        first_s = self._patience.first_s / 2 if first_s is None else first_s
        while True:
            found = look()
            if found is not None:
                return found
            tries += 1
            if self._clock() - began > timeout_s:
                raise CloudError(
                    f"the cloud did not finish {doing} within {timeout_s:g} s", ok_to_retry=True
                )
            self._sleep(min(first_s * 1.5**tries, 5.0) * (0.5 + self._chance() / 2))

    def _pause_s(self, tries: int) -> float:
        grown = min(self._patience.first_s * 2.0 ** (tries - 1), self._patience.longest_s)
        return grown * (0.5 + self._chance() / 2)

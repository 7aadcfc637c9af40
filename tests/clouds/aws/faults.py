"""What may go wrong with a call: refused, delayed, done and then not told."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Fault:
    """One way a call goes wrong.

    ``action`` is a call's name or ``*``. The first ``after`` calls are spared, then ``count`` are
    hit (None: all), each with the chance ``share``. ``acted``: the cloud does it all the same.
    ``drop``: the connection ends without an answer; else ``code`` is answered with ``status``. With
    neither the call is only late.
    """

    action: str = "*"
    code: str = "InternalError"
    message: str = "ordered by a test"
    status: int = 500
    after: int = 0
    count: int | None = 1
    share: float = 1.0
    acted: bool = False
    drop: bool = False
    delay_s: float = 0.0

    @property
    def fails(self) -> bool:
        return self.drop or bool(self.code)


@dataclass
class FaultBook:
    """The faults that are ordered. The same seed hits the same calls in the same order."""

    faults: list[Fault] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def order(self, faults: list[Mapping[str, Any]], seed: int = 7) -> None:
        self.faults = [Fault(**one) for one in faults]
        self.chance = random.Random(seed)

    def strike(self, action: str) -> Fault | None:
        """Return the fault that hits this call, and count it."""
        for fault in self.faults:
            if fault.action not in ("*", action) or fault.count == 0:
                continue
            if fault.after > 0:
                fault.after -= 1
            elif self.chance.random() < fault.share:
                if fault.count is not None:
                    fault.count -= 1
                return fault
        return None

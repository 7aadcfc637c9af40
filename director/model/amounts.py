"""Counts, percentages and watch times as a manifest writes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of instances, or a percentage of them: ``3`` or ``"50%"``."""

    value: int
    percent: bool = False

    def of(self, total: int) -> int:
        """Return the count for ``total`` instances; percentages round down, as BOSH's do."""
        return self.value * total // 100 if self.percent else self.value

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)

    @classmethod
    def parse(cls, text: int | str) -> Amount:
        """Read ``3``, ``"3"`` or ``"50%"``; raises ValueError for anything else."""
        written = str(text).strip()
        number, percent = (written[:-1], True) if written.endswith("%") else (written, False)
        if not number.isascii() or not number.isdigit():
            raise ValueError(f"'{text}' is neither a count nor a percentage")
        return cls(int(number), percent)


@dataclass(frozen=True, slots=True)
class WatchTime:
    """How long to watch an instance come up, in milliseconds.

    ``a-b`` waits a, then polls until b at the latest; a bare number checks once, after it.
    """

    minimum_ms: int
    maximum_ms: int

    def __str__(self) -> str:
        return f"{self.minimum_ms}-{self.maximum_ms}"

    @classmethod
    def parse(cls, text: int | str) -> WatchTime:
        """Read ``30000`` or ``"1000-30000"``; raises ValueError for anything else."""
        low, _, high = str(text).partition("-")
        low, high = low.strip(), (high or low).strip()
        if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
            raise ValueError(f"'{text}' is neither milliseconds nor a range of them")
        if int(high) < int(low):
            raise ValueError(f"'{text}' ends before it begins")
        return cls(int(low), int(high))

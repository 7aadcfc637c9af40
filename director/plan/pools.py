"""The addresses of a subnet, and which of them is free."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from director.model.configs import Subnet, VipSubnet


class Ranges:
    """Sorted, disjoint, inclusive ranges of integers."""

    def __init__(self, pairs: Iterable[tuple[IPv4Address, IPv4Address]]) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in sorted((int(a), int(b)) for a, b in pairs):
            if self._last and first <= self._last[-1] + 1:
                self._last[-1] = max(self._last[-1], last)
            else:
                self._first.append(first)
                self._last.append(last)

    def end_around(self, number: int) -> int | None:
        """Return the end of the range that holds ``number``, or None."""
        place = bisect_right(self._first, number) - 1
        if place >= 0 and number <= self._last[place]:
            return self._last[place]
        return None

    def __contains__(self, number: int) -> bool:
        return self.end_around(number) is not None


class VipPool:
    """The addresses of one vip subnet; one without any takes what manifests name."""

    def __init__(self, subnet: VipSubnet) -> None:
        self.subnet = subnet
        self._pairs = sorted((int(first), int(last)) for first, last in subnet.static)
        self._ranges = Ranges(subnet.static)

    def __contains__(self, number: int) -> bool:
        return not self._pairs or number in self._ranges

    def covers(self, az: str | None) -> bool:
        return az is None or not self.subnet.azs or az in self.subnet.azs

    def offers(self, number: int) -> bool:
        """Whether the address may be held by an instance that did not ask for it."""
        return number in self._ranges

    def lowest_free(self, used: Mapping[int, str]) -> int | None:
        """Return the lowest free address."""
        numbers = (n for first, last in self._pairs for n in range(first, last + 1))
        return next((number for number in numbers if number not in used), None)


class Pool:
    """One subnet, and how far its free addresses have been given out."""

    def __init__(self, subnet: Subnet) -> None:
        self.subnet = subnet
        self.reserved = Ranges(subnet.reserved)
        self.static = Ranges(subnet.static)
        self._barred = Ranges((*subnet.reserved, *subnet.static))
        self._first = int(subnet.range.network_address)
        self._last = int(subnet.range.broadcast_address)
        self._next = self._first

    def __contains__(self, number: int) -> bool:
        return self._first <= number <= self._last

    def covers(self, az: str | None) -> bool:
        return az is None or not self.subnet.azs or az in self.subnet.azs

    def offers(self, number: int) -> bool:
        """Whether the address may be held by an instance that did not ask for it."""
        return number in self and number not in self._barred

    def lowest_free(self, used: Mapping[int, str]) -> int | None:
        """Return the lowest free address; each call goes on where the last one ended."""
        number = self._next
        while number <= self._last:
            barred_until = self._barred.end_around(number)
            if barred_until is not None:
                number = barred_until + 1
            elif number in used:
                number += 1
            else:
                self._next = number + 1
                return number
        self._next = number
        return None

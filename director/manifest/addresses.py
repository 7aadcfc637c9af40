"""IPv4 addresses and ranges of them, as closed intervals of integers: no range is ever listed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network

Interval = tuple[int, int]


def parse_range(text: str) -> Interval:
    """Read ``a``, ``a-b`` or a CIDR; both ends belong to it. Raises ValueError saying why not."""
    first, dash, last = text.partition("-")
    if dash:
        low, high = parse_address(first), parse_address(last)
        if high < low:
            raise ValueError(f"'{text}' ends before it begins")
        return low, high
    if "/" in text:
        network = parse_network(text)
        return int(network.network_address), int(network.broadcast_address)
    address = parse_address(text)
    return address, address


def parse_address(text: str) -> int:
    """Read one address; raises ValueError."""
    written = str(text).strip()
    try:
        return int(IPv4Address(written))
    except AddressValueError as error:
        if ":" in written:
            raise ValueError(f"'{written}' is an IPv6 address, and networks are IPv4") from error
        raise ValueError(f"'{written}' is not an IPv4 address") from error


def parse_network(text: str) -> IPv4Network:
    """Read a CIDR, whose host bits may be set; raises ValueError."""
    written = text.strip()
    if "/" not in written:
        raise ValueError(f"'{written}' is not a range such as 10.0.0.0/24")
    try:
        return IPv4Network(written, strict=False)
    except ValueError as error:
        if ":" in written:
            raise ValueError(f"'{written}' is an IPv6 range, and networks are IPv4") from error
        raise ValueError(f"'{written}' is not a range such as 10.0.0.0/24") from error


def show(interval: Interval) -> str:
    """Return an interval as text: ``10.0.0.1`` or ``10.0.0.1-10.0.0.9``."""
    low, high = IPv4Address(interval[0]), IPv4Address(interval[1])
    return str(low) if low == high else f"{low}-{high}"


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same addresses as sorted intervals that neither overlap nor touch."""
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def overlap(merged: Sequence[Interval], interval: Interval) -> Interval | None:
    """Return the first piece of ``interval`` that is in ``merged`` (see :func:`merge`), or None."""
    index = bisect_right(merged, (interval[0], 1 << 32)) - 1
    for low, high in merged[max(index, 0) : index + 2]:
        if low <= interval[1] and high >= interval[0]:
            return max(low, interval[0]), min(high, interval[1])
    return None


def contains(merged: Sequence[Interval], address: int) -> bool:
    """Whether ``address`` is in ``merged``."""
    return overlap(merged, (address, address)) is not None


def count(intervals: Iterable[Interval]) -> int:
    """Return how many addresses there are."""
    return sum(high - low + 1 for low, high in intervals)

"""Reads the networks of a cloud config: which addresses there are, and which are never given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

from director.manifest import addresses
from director.manifest.addresses import Interval
from director.manifest.reading import Reader, present
from director.manifest.suggest import did_you_mean
from director.model.configs import DynamicSubnet, Network, Subnet, VipSubnet
from director.model.source import Path

_MANUAL_ONLY = ("range", "gateway", "reserved", "static")
_NOWHERE = IPv4Network("0.0.0.0/32")


def read_network(reader: Reader, n: int, known_azs: Sequence[str]) -> Network:
    """Return the ``n``-th network, which the schema found right; notes what is wrong in it."""
    path: Path = ("networks", n)
    entry = present(reader.located.data["networks"][n])
    subnets = [present(subnet) for subnet in entry.get("subnets", ())]
    azs = [
        _azs(reader, subnet, known_azs, (*path, "subnets", m)) for m, subnet in enumerate(subnets)
    ]
    if entry.get("type", "manual") == "dynamic":
        return _dynamic(reader, entry, subnets, azs, path)
    if entry.get("type") == "vip":
        return _vip(reader, entry, subnets, azs, path)
    return _manual(reader, entry, subnets, azs, path)


def _azs(
    reader: Reader, subnet: Mapping[str, Any], known: Sequence[str], path: Path
) -> tuple[str, ...]:
    if "az" in subnet and "azs" in subnet:
        what = f"{reader.name(path)} has both 'az' and 'azs'"
        reader.add(what, (*path, "az"), "keep one of the two")
    named = subnet.get("azs", [subnet["az"]] if "az" in subnet else [])
    for n, az in enumerate(named):
        if az not in known:
            at = (*path, "azs", n) if "azs" in subnet else (*path, "az")
            what = f"{reader.name(path)} uses unknown AZ '{az}'"
            reader.add(what, at, did_you_mean(az, known, "add it to 'azs'"))
    return tuple(dict.fromkeys(named))


def _dns(reader: Reader, entry: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    return tuple(
        reader.parse(lambda text: str(ip_address(text)), text, (*path, "dns", n), "")
        for n, text in enumerate(entry.get("dns", ()))
    )


def _dynamic(
    reader: Reader,
    entry: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    azs: Sequence[tuple[str, ...]],
    path: Path,
) -> Network:
    name = entry["name"]
    if "subnets" not in entry:
        cloud_properties = entry.get("cloud_properties", {})
        whole = DynamicSubnet(dns=_dns(reader, entry, path), cloud_properties=cloud_properties)
        return Network(name=name, type="dynamic", dynamic_subnets=(whole,))
    _belongs_in_subnets(reader, entry, path)
    found = []
    for n, subnet in enumerate(subnets):
        at = (*path, "subnets", n)
        for key in _MANUAL_ONLY:
            if key in subnet:
                what = f"{reader.name(at)} of the dynamic network '{name}' has '{key}'"
                fix = f"take '{key}' out, or write 'type: manual' at the network"
                reader.add(what, (*at, key), fix)
        found.append(
            DynamicSubnet(
                dns=_dns(reader, subnet, at),
                azs=azs[n],
                cloud_properties=subnet.get("cloud_properties", {}),
            )
        )
    return Network(name=name, type="dynamic", dynamic_subnets=tuple(found))


def _vip(
    reader: Reader,
    entry: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    azs: Sequence[tuple[str, ...]],
    path: Path,
) -> Network:
    name = entry["name"]
    if "dns" in entry:
        reader.add(f"vip network '{name}' has 'dns'", (*path, "dns"), "take 'dns' out")
    if "subnets" not in entry:
        whole = VipSubnet(cloud_properties=entry.get("cloud_properties", {}))
        return Network(name=name, type="vip", vip_subnets=(whole,))
    _belongs_in_subnets(reader, entry, path)
    found, seen = [], list[Interval]()
    for n, subnet in enumerate(subnets):
        at = (*path, "subnets", n)
        for key in (k for k in ("range", "gateway", "reserved", "dns") if k in subnet):
            what = f"{reader.name(at)} of the vip network '{name}' has '{key}'"
            reader.add(what, (*at, key), f"take '{key}' out: 'static' names its addresses")
        if "static" not in subnet:
            what = f"{reader.name(at)} of the vip network '{name}' has no 'static'"
            fix = "add the addresses that are yours in the cloud, or leave 'subnets' out and name "
            reader.add(what, at, f"{fix}them in manifests as 'static_ips'")
        static = _all_intervals(reader, subnet, "static", at)
        for place, interval in static:
            both = addresses.overlap(addresses.merge(seen), interval)
            if both is not None:
                what = f"vip network '{name}' has '{addresses.show(both)}' twice"
                reader.add(what, place, "name each address once")
            seen.append(interval)
        pairs = _pairs(addresses.merge(interval for _, interval in static))
        properties = subnet.get("cloud_properties", {})
        found.append(VipSubnet(azs=azs[n], static=pairs, cloud_properties=properties))
    return Network(name=name, type="vip", vip_subnets=tuple(found))


def _belongs_in_subnets(reader: Reader, entry: Mapping[str, Any], path: Path) -> None:
    for key in ("dns", "cloud_properties"):
        if key in entry:
            what = f"{reader.name(path)} has '{key}' beside 'subnets'"
            reader.add(what, (*path, key), f"write '{key}' into each subnet")


def _manual(
    reader: Reader,
    entry: Mapping[str, Any],
    subnets: Sequence[Mapping[str, Any]],
    azs: Sequence[tuple[str, ...]],
    path: Path,
) -> Network:
    _belongs_in_subnets(reader, entry, path)
    if not subnets:
        what = f"{reader.name(path)} has no 'subnets'"
        reader.add(what, path, "add 'subnets' with a range and a gateway, or 'type: dynamic'")
    found = [
        _subnet(reader, subnet, azs[n], (*path, "subnets", n)) for n, subnet in enumerate(subnets)
    ]
    _check_overlaps(reader, found, path)
    return Network(name=entry["name"], type="manual", subnets=tuple(found))


def _check_overlaps(reader: Reader, subnets: Sequence[Subnet], path: Path) -> None:
    ranges = [(subnet.range, n) for n, subnet in enumerate(subnets) if subnet.range != _NOWHERE]
    widest: tuple[IPv4Network, int] | None = None
    for current in sorted(ranges, key=lambda pair: pair[0]):
        if widest is not None and widest[0].overlaps(current[0]):
            one, other = sorted((widest, current), key=lambda pair: pair[1])
            what = f"{reader.name((*path, 'subnets', other[1]))} overlaps '{one[0]}'"
            at = (*path, "subnets", other[1], "range")
            reader.add(what, at, "give each subnet of the network addresses of its own")
        if widest is None or current[0].broadcast_address > widest[0].broadcast_address:
            widest = current


def _subnet(reader: Reader, raw: Mapping[str, Any], azs: tuple[str, ...], path: Path) -> Subnet:
    for key in ("range", "gateway"):
        if key not in raw:
            reader.add(f"{reader.name(path)} has no '{key}'", path, f"add '{key}'")
    network = _NOWHERE
    if "range" in raw:
        network = reader.parse(addresses.parse_network, raw["range"], (*path, "range"), _NOWHERE)
    if network == _NOWHERE:
        return Subnet(range=network, azs=azs)
    first, last = int(network.network_address), int(network.broadcast_address)
    gateway = _gateway(reader, raw, (first, last), (*path, "gateway"))
    reserved = _intervals(reader, raw, "reserved", (first, last), path)
    static = _intervals(reader, raw, "static", (first, last), path)
    never = {"is its network address": first, "is its broadcast address": last}
    if gateway is not None:
        never["is its gateway"] = gateway
    _check_static(reader, static, reserved, never, path)
    all_reserved = [*(interval for _, interval in reserved), *((a, a) for a in never.values())]
    return Subnet(
        range=network,
        gateway=IPv4Address(gateway) if gateway is not None else None,
        dns=_dns(reader, raw, path),
        azs=azs,
        reserved=_pairs(addresses.merge(all_reserved)),
        static=_pairs(addresses.merge(interval for _, interval in static)),
        cloud_properties=raw.get("cloud_properties", {}),
    )


def _gateway(reader: Reader, raw: Mapping[str, Any], whole: Interval, path: Path) -> int | None:
    if "gateway" not in raw:
        return None
    address = reader.parse(addresses.parse_address, raw["gateway"], path, None)
    if address is None:
        return None
    fix = "name the address of the router in that range"
    if not whole[0] <= address <= whole[1]:
        reader.add(f"gateway '{raw['gateway']}' is outside the range '{raw['range']}'", path, fix)
    elif address in whole:
        which = "network" if address == whole[0] else "broadcast"
        what = f"gateway '{raw['gateway']}' is the {which} address of the range '{raw['range']}'"
        reader.add(what, path, fix)
    return address


def _intervals(
    reader: Reader, raw: Mapping[str, Any], key: str, whole: Interval, path: Path
) -> list[tuple[Path, Interval]]:
    """Return the intervals under ``key`` with their places, those within ``whole``."""
    found = []
    for place, interval in _all_intervals(reader, raw, key, path):
        if interval[0] < whole[0] or interval[1] > whole[1]:
            what = f"{key} address '{addresses.show(interval)}' is outside the range "
            fix = f"name addresses within {addresses.show(whole)}"
            reader.add(f"{what}'{raw['range']}'", place, fix)
        else:
            found.append((place, interval))
    return found


def _all_intervals(
    reader: Reader, raw: Mapping[str, Any], key: str, path: Path
) -> list[tuple[Path, Interval]]:
    """Return the intervals under ``key`` with their places; one text counts as a list of one."""
    value = raw.get(key, [])
    at: Path = (*path, key)
    texts = (
        [(at, value)] if isinstance(value, str) else [((*at, n), t) for n, t in enumerate(value)]
    )
    read = [
        (place, reader.parse(addresses.parse_range, text, place, None)) for place, text in texts
    ]
    return [(place, interval) for place, interval in read if interval is not None]


def _check_static(
    reader: Reader,
    static: Sequence[tuple[Path, Interval]],
    reserved: Sequence[tuple[Path, Interval]],
    never: Mapping[str, int],
    path: Path,
) -> None:
    kept = addresses.merge(interval for _, interval in reserved)
    for place, interval in static:
        both = addresses.overlap(kept, interval)
        if both is not None:
            what = f"static range '{addresses.show(interval)}' of {reader.name(path)} is partly "
            reader.add(
                f"{what}reserved: {addresses.show(both)}",
                place,
                "let no address be both static and reserved",
            )
        for why, address in never.items():
            if interval[0] <= address <= interval[1]:
                what = f"static range '{addresses.show(interval)}' of {reader.name(path)} holds "
                fix = "leave this address out"
                reader.add(f"{what}{IPv4Address(address)}, which {why}", place, fix)


def _pairs(intervals: Sequence[Interval]) -> tuple[tuple[IPv4Address, IPv4Address], ...]:
    return tuple((IPv4Address(low), IPv4Address(high)) for low, high in intervals)

"""Finds the networks of an instance group, and whether its AZs and static IPs fit them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from director.manifest.addresses import Interval, contains
from director.manifest.lookup import Lookup
from director.manifest.suggest import quoted
from director.model.configs import CloudConfig, Network, Subnet
from director.model.errors import NetworkError
from director.model.manifest import InstanceGroup, NetworkUse
from director.model.source import Path


def resolve_networks(
    lookup: Lookup, group: InstanceGroup, cloud: CloudConfig
) -> tuple[tuple[NetworkUse, Network], ...]:
    """Return the group's networks; the only one of a group is its default for everything.

    Notes unknown networks, AZs without a subnet, static IPs that cannot be had, and a group that
    only has vip networks.
    """
    found = []
    for n, use in enumerate(group.networks):
        path: Path = (*group.path, "networks", n)
        user = f"instance group '{group.name}'"
        at = (*path, "name")
        if not lookup.known(
            use.name, cloud.networks, kind="network", user=user, path=at, home="the cloud config"
        ):
            continue
        network = cloud.networks[use.name]
        _check_azs(lookup, group, network, cloud, at)
        if network.type == "vip":
            _check_vip(lookup, group, use, network, path)
        else:
            _check_static_ips(lookup, group, use, network, (*path, "static_ips"))
        if len(group.networks) == 1:
            use = replace(use, default=("dns", "gateway"))
        found.append((use, network))
    if found and all(network.type == "vip" for _, network in found):
        what = f"instance group '{group.name}' has no network but vip networks"
        fix = "add a manual or dynamic network: a vip address is led to an address of another one"
        lookup.add(what, (*group.path, "networks"), fix, kind=NetworkError)
    return tuple(found)


def check_static_ips_once(lookup: Lookup, groups: Sequence[InstanceGroup]) -> None:
    """Note static IPs that two groups ask for on the same network."""
    holders: dict[tuple[str, str], str] = {}
    for group in groups:
        for n, use in enumerate(group.networks):
            for m, ip in enumerate(use.static_ips):
                holder = holders.setdefault((use.name, ip), group.name)
                if holder != group.name:
                    what = f"instance groups '{holder}' and '{group.name}' both ask for the static "
                    at = _place(lookup, use, (*group.path, "networks", n, "static_ips"), m)
                    fix = "give each address to one group"
                    lookup.add(f"{what}IP '{ip}'", at, fix, kind=NetworkError)


def _check_azs(
    lookup: Lookup, group: InstanceGroup, network: Network, cloud: CloudConfig, path: Path
) -> None:
    has = network.azs
    if network.type == "vip" and not has:
        return
    if not group.azs and has:
        what = f"instance group '{group.name}' names no azs, and network '{network.name}' has some"
        lookup.add(what, path, f"add 'azs' to the instance group, from {quoted(has)}")
    missing = [az for az in group.azs if az not in has and az in cloud.azs]
    if missing:
        what = f"network '{network.name}' of instance group '{group.name}' has no subnet in the AZ "
        names = ", ".join(f"'{az}'" for az in missing)
        in_use = f"use the AZs it has ({quoted(has)}), or " if has else ""
        fix = f"{in_use}add a subnet with 'az: {missing[0]}' to the cloud config"
        lookup.add(f"{what}{names}", path, fix)


def _check_static_ips(
    lookup: Lookup, group: InstanceGroup, use: NetworkUse, network: Network, path: Path
) -> None:
    if not use.static_ips:
        return
    if network.type != "manual":
        what = f"instance group '{group.name}' asks for static IPs on the dynamic network "
        fix = "take 'static_ips' out, or use a manual network"
        lookup.add(f"{what}'{network.name}'", path, fix, kind=NetworkError)
        return
    subnets = _Subnets(network)
    for n, ip in enumerate(use.static_ips):
        wrong = subnets.objection(ip, group)
        if wrong is not None:
            what, fix = wrong
            lookup.add(
                f"static IP '{ip}' of instance group '{group.name}' {what}",
                _place(lookup, use, path, n),
                fix,
                kind=NetworkError,
            )


def _check_vip(
    lookup: Lookup, group: InstanceGroup, use: NetworkUse, network: Network, path: Path
) -> None:
    user, called = f"instance group '{group.name}'", f"the vip network '{network.name}'"
    if use.static_ips and network.has_pool:
        what = f"{user} asks for static IPs on {called}, which has addresses of its own ('static')"
        fix = "take 'static_ips' out, or the network's 'subnets'"
        lookup.add(what, (*path, "static_ips"), fix, kind=NetworkError)
    elif not use.static_ips and not network.has_pool and group.instances:
        what = f"{user} names no static IPs on {called}, which has no addresses of its own"
        fix = "add 'static_ips', one for each instance, or give the network 'subnets' with 'static'"
        lookup.add(what, path, fix, kind=NetworkError)
    for purpose in ("dns", "gateway"):
        if purpose in use.default:
            what = f"{user} has 'default: [{purpose}]' at {called}"
            fix = f"move '{purpose}' to a manual or dynamic network of the group"
            lookup.add(what, (*path, "default"), fix, kind=NetworkError)


def _place(lookup: Lookup, use: NetworkUse, path: Path, n: int) -> Path:
    """Return the path of the n-th address, or of the whole list where ranges hide which it is."""
    one_by_one = (*path, len(use.static_ips) - 1) in lookup.sources
    return (*path, n) if one_by_one else path


class _Subnets:
    """A manual network's subnets in the order of their addresses."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._subnets = sorted(network.subnets, key=lambda s: int(s.range.network_address))
        self._starts = [int(s.range.network_address) for s in self._subnets]
        self._static = [_intervals(s.static) for s in self._subnets]
        self._reserved = [_intervals(s.reserved) for s in self._subnets]

    def objection(self, ip: str, group: InstanceGroup) -> tuple[str, str] | None:
        """Return what is wrong with a static IP and how to fix it, or None."""
        address = IPv4Address(ip)
        n = bisect_right(self._starts, int(address)) - 1
        subnet: Subnet | None = self._subnets[n] if n >= 0 else None
        if subnet is None or address not in subnet.range:
            ranges = quoted(str(s.range) for s in self._subnets)
            return (
                f"is in no subnet of network '{self._network.name}'",
                f"pick one from the static ranges of {ranges}",
            )
        if contains(self._reserved[n], int(address)):
            return f"is reserved in the subnet '{subnet.range}'", self._pick(subnet)
        if not contains(self._static[n], int(address)):
            return (
                f"is not in the static ranges of the subnet '{subnet.range}'",
                f"{self._pick(subnet)}, or add it to 'static' in the cloud config",
            )
        if subnet.azs and group.azs and not set(subnet.azs) & set(group.azs):
            return (
                f"is in the AZ {quoted(subnet.azs)}, and the group is not",
                f"pick an address of {quoted(group.azs)}, or add the AZ to 'azs'",
            )
        return None

    def _pick(self, subnet: Subnet) -> str:
        if not subnet.static:
            return "pick an address of another subnet: this one has no static ranges"
        return f"pick one from {quoted(f'{a}-{b}' for a, b in subnet.static)}"


def _intervals(pairs: Sequence[tuple[IPv4Address, IPv4Address]]) -> list[Interval]:
    return sorted((int(first), int(last)) for first, last in pairs)

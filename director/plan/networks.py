"""Which address an instance gets: the one it has, the one it asks for, or the lowest free one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from director.model.configs import DynamicSubnet, Network, Subnet, VipSubnet
from director.model.errors import NetworkError
from director.model.instances import NetworkSpec, RecordedInstance
from director.model.manifest import NetworkUse
from director.model.source import Path, Source
from director.plan.pools import Pool, VipPool

Taken = Mapping[tuple[str, str], str]
"""Every address given out by this director: (network, ip) to its owner's id."""


def locate(sources: Mapping[Path, Source], path: Path) -> Source | None:
    """Return where ``path`` stands, or the closest thing around it that has a position."""
    for length in range(len(path), 0, -1):
        if path[:length] in sources:
            return sources[path[:length]]
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An instance's wish for an address on one network, with what an error needs to say."""

    owner: str
    group: str
    az: str | None
    use: NetworkUse
    network: Network
    default: tuple[str, ...]
    where: Source | None


class AddressBook:
    """Who has which address while a plan is made.

    An address belongs to one owner in all networks of the director, whatever their names. What an
    instance holds stays its own until it is deleted, so no other gets it in the same plan.
    """

    def __init__(
        self, networks: Mapping[str, Network], taken: Taken, recorded: Sequence[RecordedInstance]
    ) -> None:
        self._pools: dict[str, list[Pool | VipPool]] = {
            name: [
                *(Pool(subnet) for subnet in network.subnets),
                *(VipPool(subnet) for subnet in network.vip_subnets),
            ]
            for name, network in networks.items()
        }
        self._shapes: dict[tuple[int, tuple[str, ...]], NetworkSpec] = {}
        self._owner: dict[int, str] = {}
        self._held: dict[str, dict[str, list[int]]] = {}
        self._settled: set[int] = set()
        self._names = {str(instance.id): instance.name for instance in recorded}
        for (network, ip), owner in taken.items():
            self._hold(owner, network, int(IPv4Address(ip)))
        for instance in recorded:
            for spec in instance.spec.networks if instance.spec else ():
                if spec.held and spec.ip is not None:
                    self._hold(instance.id, spec.name, int(IPv4Address(spec.ip)))

    def _hold(self, owner: str, network: str, number: int) -> None:
        if self._owner.setdefault(number, owner) != owner:
            return
        held = self._held.setdefault(owner, {}).setdefault(network, [])
        if number not in held:
            held.append(number)

    def held(self, owner: str, network: str) -> list[str]:
        """Return the addresses ``owner`` has, those on ``network`` first."""
        by_network = self._held.get(owner, {})
        others = [n for name, numbers in by_network.items() if name != network for n in numbers]
        return [str(IPv4Address(n)) for n in (*by_network.get(network, ()), *others)]

    def holder(self, ip: str) -> str | None:
        """Return the id of who has ``ip``, or None."""
        return self._owner.get(int(IPv4Address(ip)))

    def name_of(self, owner: str) -> str:
        """Return how an operator knows ``owner``."""
        return self._names.get(owner, owner)

    def static_azs(self, network: str, ip: str, *, where: Source | None) -> tuple[str, ...]:
        """Return the AZs of the subnet a static address lies in, empty where it has none.

        Raises NetworkError if the address lies in no subnet, is reserved, or is not static.
        """
        number = int(IPv4Address(ip))
        pools = [p for p in self._pools.get(network, ()) if isinstance(p, Pool)]
        for pool in pools:
            if number not in pool:
                continue
            if number in pool.reserved:
                raise NetworkError(
                    f"static IP '{ip}' is reserved in network '{network}'",
                    where=where,
                    fix="use another address, or take it out of the subnet's 'reserved'",
                )
            if number not in pool.static:
                raise NetworkError(
                    f"static IP '{ip}' is not in a static range of network '{network}'",
                    where=where,
                    fix="add the address to the subnet's 'static' in the cloud config",
                )
            return pool.subnet.azs
        ranges = ", ".join(str(p.subnet.range) for p in pools)
        raise NetworkError(
            f"static IP '{ip}' is in no subnet of network '{network}'",
            where=where,
            fix=f"use an address of {ranges or 'a subnet; the network has none'}",
        )

    def settle(self, wish: Wish, static_ip: str | None) -> NetworkSpec:
        """Return the owner's place on a manual or vip network, and mark its address as given.

        ``static_ip`` was checked before. Raises NetworkError when no address is left.
        """
        pools = [p for p in self._pools[wish.network.name] if p.covers(wish.az)]
        if static_ip is not None:
            number = int(IPv4Address(static_ip))
            pool = next(p for p in pools if number in p)
        else:
            number, pool = self._keep(wish, pools) or self._new(wish, pools)
        self._owner[number] = wish.owner
        self._names.setdefault(wish.owner, f"{wish.group}/{wish.owner}")
        self._settled.add(number)
        return replace(self._shape(wish, pool.subnet), ip=str(IPv4Address(number)))

    def _keep(
        self, wish: Wish, pools: Sequence[Pool | VipPool]
    ) -> tuple[int, Pool | VipPool] | None:
        by_network = self._held.get(wish.owner)
        if not by_network:
            return None
        own = by_network.get(wish.network.name, ())
        others = (n for name, ns in by_network.items() if name != wish.network.name for n in ns)
        for number in (*own, *others):
            if number not in self._settled:
                for pool in pools:
                    if pool.offers(number):
                        return number, pool
        return None

    def _new(self, wish: Wish, pools: Sequence[Pool | VipPool]) -> tuple[int, Pool | VipPool]:
        for pool in pools:
            number = pool.lowest_free(self._owner)
            if number is not None:
                return number, pool
        at = f" in AZ '{wish.az}'" if wish.az else ""
        if not pools:
            raise NetworkError(
                f"network '{wish.network.name}' has no subnet{at}, where instance group "
                f"'{wish.group}' has instances",
                where=wish.where,
                fix="add a subnet for it to the cloud config, or use other 'azs'",
            )
        raise NetworkError(
            f"network '{wish.network.name}' has no free address left{at} for instance group "
            f"'{wish.group}'",
            where=wish.where,
            fix="add addresses to its 'static', or lower 'instances'"
            if wish.network.type == "vip"
            else "widen the subnet, shorten its 'reserved' or 'static', or lower 'instances'",
        )

    def _shape(self, wish: Wish, subnet: Subnet | VipSubnet) -> NetworkSpec:
        """Return all of a NetworkSpec but its address; the same for a whole subnet."""
        key = (id(subnet), wish.default)
        if key in self._shapes:
            return self._shapes[key]
        if isinstance(subnet, VipSubnet):
            self._shapes[key] = NetworkSpec(
                name=wish.network.name,
                type="vip",
                default=wish.default,
                cloud_properties=subnet.cloud_properties,
            )
        else:
            self._shapes[key] = NetworkSpec(
                name=wish.network.name,
                type="manual",
                netmask=str(subnet.range.netmask),
                gateway=str(subnet.gateway) if subnet.gateway is not None else None,
                dns=subnet.dns,
                default=wish.default,
                cloud_properties=subnet.cloud_properties,
            )
        return self._shapes[key]


def dynamic_place(wish: Wish, recorded: RecordedInstance | None) -> NetworkSpec:
    """Return an instance's place on a dynamic network, with the address its VM has, if it has one.

    Raises NetworkError where the network does not reach the instance's AZ.
    """
    subnet = _dynamic_subnet(wish)
    vm = recorded.vm if recorded is not None else None
    given = vm.networks.get(wish.network.name) if vm is not None and vm.cid is not None else None
    return NetworkSpec(
        name=wish.network.name,
        type="dynamic",
        ip=str(given["ip"]) if given and given.get("ip") else None,
        dns=subnet.dns,
        default=wish.default,
        cloud_properties=subnet.cloud_properties,
    )


def _dynamic_subnet(wish: Wish) -> DynamicSubnet:
    for subnet in wish.network.dynamic_subnets:
        if wish.az is None or not subnet.azs or wish.az in subnet.azs:
            return subnet
    if not wish.network.dynamic_subnets:
        return DynamicSubnet()
    raise NetworkError(
        f"network '{wish.network.name}' has no subnet in AZ '{wish.az}', where instance group "
        f"'{wish.group}' has instances",
        where=wish.where,
        fix="add a subnet for it to the cloud config, or use other 'azs'",
    )

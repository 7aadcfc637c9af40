"""From the networks a VM is to have to its network cards: which subnet, address and gateway."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Any

from cpis.contract import CloudError, NotSupportedByCpi
from cpis.local.properties import read_dynamic_range, refuse_unknown

_RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_KEYS = (
    *("type", "ip", "netmask", "gateway", "dns", "default", "cloud_properties"),
    *("mac", "prefix", "dns_record_name", "use_dhcp", "preconfigured"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A range with the bridge that carries it; ``gateway`` is the host's address on it."""

    bridge: str
    range: str
    gateway: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One network card of a VM. ``link`` is the host's end of it."""

    network: str
    subnet: Subnet
    link: str
    address: str
    mac: str
    default_route: bool

    @property
    def interface(self) -> str:
        """The address with its prefix length."""
        return f"{self.address}/{IPv4Network(self.subnet.range).prefixlen}"

    @property
    def broadcast(self) -> str:
        """The address of all machines of the subnet."""
        return str(IPv4Network(self.subnet.range).broadcast_address)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Card:
        """Return the card that ``asdict`` made ``data`` of."""
        return cls(**{**data, "subnet": Subnet(**data["subnet"])})


def subnet_of(director_id: str, subnet_range: IPv4Network, gateway: str | None) -> Subnet:
    """Return the subnet of a range; the bridge's name follows from director and range."""
    digest = hashlib.sha256(f"{director_id} {subnet_range}".encode()).hexdigest()
    return Subnet(bridge=f"dir{digest[:10]}", range=str(subnet_range), gateway=gateway)


def plan_cards(
    director_id: str,
    cid: str,
    networks: Mapping[str, Mapping[str, Any]],
    pick: Callable[[Subnet], str],
) -> tuple[Card, ...]:
    """Return a VM's cards, in the order of ``networks``; ``pick`` chooses a dynamic address.

    Raises CloudError for a network that lacks something, and NotSupportedByCpi for a vip network.
    """
    if not networks:
        raise CloudError("a VM without networks could not be reached")
    gateway_of = _default_route(networks)
    tag = hashlib.sha256(f"{director_id} {cid}".encode()).hexdigest()[:10]
    cards = []
    for index, (name, network) in enumerate(networks.items()):
        subnet, address = _place(director_id, name, network, pick)
        if name == gateway_of and subnet.gateway is None:
            raise CloudError(
                f"network '{name}' is to carry the default route and has no gateway",
                fix="give its subnet a gateway; this host takes that address",
            )
        # The card's hardware address follows from its address, so that a VM made anew in the place
        # of another is reached at once, whatever the neighbours' ARP tables hold.
        digest = hashlib.sha256(f"{director_id} {address}".encode()).hexdigest()
        mac = ":".join(("02", *(digest[n : n + 2] for n in range(0, 10, 2))))
        cards.append(
            Card(
                network=name,
                subnet=subnet,
                link=f"v{tag}{index}",
                address=address,
                mac=mac,
                default_route=name == gateway_of,
            )
        )
    return tuple(cards)


def filled_networks(
    networks: Mapping[str, Mapping[str, Any]], cards: tuple[Card, ...]
) -> dict[str, dict[str, Any]]:
    """Return the networks as given, with the addresses of dynamic ones filled in."""
    filled = {}
    for card in cards:
        given = dict(networks[card.network])
        if given.get("type") == "dynamic":
            given["ip"] = card.address
            given["netmask"] = str(IPv4Network(card.subnet.range).netmask)
            given["gateway"] = card.subnet.gateway
        filled[card.network] = given
    return filled


def dns_servers(networks: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the name servers a VM shall use: its networks', or else this host's."""
    chosen = [n for n in networks.values() if "dns" in (n.get("default") or ())]
    servers = [s for n in (chosen or networks.values()) for s in (n.get("dns") or ())]
    return tuple(dict.fromkeys(servers)) or _host_dns()


def to_json(cards: tuple[Card, ...]) -> list[dict[str, Any]]:
    """Return the cards as plain data."""
    return [asdict(card) for card in cards]


def _host_dns() -> tuple[str, ...]:
    # A resolver on loopback serves the host only; systemd-resolved keeps the real ones beside it.
    for path in _RESOLVERS:
        if not path.exists():
            continue
        words = [line.split() for line in path.read_text().splitlines()]
        servers = [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]
        usable = tuple(s for s in servers if not s.startswith("127.") and ":" not in s)
        if usable:
            return usable
    return ()


def _default_route(networks: Mapping[str, Mapping[str, Any]]) -> str:
    named = [name for name, n in networks.items() if "gateway" in (n.get("default") or ())]
    return named[0] if named else next(iter(networks))


def _place(
    director_id: str, name: str, network: Mapping[str, Any], pick: Callable[[Subnet], str]
) -> tuple[Subnet, str]:
    refuse_unknown(f"network '{name}'", network, _KEYS)
    kind = network.get("type", "manual")
    cloud_properties = network.get("cloud_properties") or {}
    if kind == "dynamic":
        subnet_range = read_dynamic_range(name, cloud_properties)
        subnet = subnet_of(director_id, subnet_range, str(subnet_range[1]))
        return subnet, pick(subnet)
    if kind != "manual":
        raise NotSupportedByCpi(f"network '{name}' has type '{kind}', which local machines lack")
    refuse_unknown(f"network '{name}'", cloud_properties, ())
    return _manual(director_id, name, network)


def _manual(director_id: str, name: str, network: Mapping[str, Any]) -> tuple[Subnet, str]:
    try:
        interface = IPv4Interface(f"{network['ip']}/{network['netmask']}")
        gateway = network.get("gateway")
        host = IPv4Address(gateway) if gateway else None
    except KeyError as error:
        raise CloudError(f"network '{name}' has no {error.args[0]}") from error
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise CloudError(f"network '{name}' has a wrong address: {error}") from error
    if host is not None and host not in interface.network:
        raise CloudError(f"network '{name}' has gateway '{host}' outside {interface.network}")
    if interface.ip == host:
        raise CloudError(f"network '{name}' gives the VM its gateway's address '{host}'")
    return subnet_of(director_id, interface.network, gateway), str(interface.ip)

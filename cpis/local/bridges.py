"""Bridges, made when the first VM needs them and gone with the last: one for each range.

A bridge carries the director's id in its alias, so that another director, or the next test run,
sees whose it is. Who uses it stands in the state directory: one file for each address.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from cpis.contract import CloudError
from cpis.local import packets
from cpis.local.addresses import Card, Subnet
from cpis.local.processes import run
from cpis.local.state import locked, read_json, remove_tree, write_json

# What concerns every director of this host, not just one.
HOST_DIRECTORY = Path("/run/director-local")
_ALIAS = "director "
_FORWARDING = "3"


class Bridges:
    """The bridges of one director. Thread-safe, and safe beside other processes."""

    def __init__(self, directory: Path, director_id: str) -> None:
        self._directory = directory
        self._director_id = director_id
        self._lock = HOST_DIRECTORY / "network.lock"

    def join(self, cid: str, cards: tuple[Card, ...]) -> None:
        """Take the cards' addresses for ``cid`` and make the bridges that are missing.

        Raises CloudError for an address that another VM has, and for a range in use elsewhere.
        """
        with locked(self._lock):
            missing = []
            for card in cards:
                self._claim(cid, card)
                if not _exists(card.subnet.bridge):
                    missing.append(card.subnet)
            if missing:
                for subnet in dict.fromkeys(missing):
                    self._make(subnet)
                packets.apply_rules(self._director_id, self._ranges())

    def leave(self, cid: str) -> None:
        """Give back every address ``cid`` has, and remove bridges that nobody uses any more."""
        with locked(self._lock):
            for holder in self._directory.glob("dir*/[0-9]*"):
                if _holder(holder) == cid:
                    holder.unlink()
            bridges = [path.name for path in self._directory.glob("dir*")]
            unused = [bridge for bridge in bridges if not self._users(bridge)]
            for bridge in unused:
                self._remove(bridge)
            if unused:
                packets.apply_rules(self._director_id, self._ranges())
                _restore_forwarding()

    def pick(self, cid: str, subnet: Subnet) -> str:
        """Take the lowest free address of a subnet for ``cid``."""
        with locked(self._lock):
            directory = self._directory / subnet.bridge
            for address in IPv4Network(subnet.range).hosts():
                if str(address) != subnet.gateway and not (directory / str(address)).exists():
                    self._record(subnet)
                    (directory / str(address)).write_text(cid)
                    return str(address)
        raise CloudError(f"the range {subnet.range} has no free address left")

    def remove_all(self) -> None:
        """Remove every bridge and rule of this director, used or not."""
        with locked(self._lock):
            known = [entry.name for entry in self._directory.glob("dir*")]
            for bridge in {*known, *owned_links(self._director_id)}:
                self._remove(bridge)
            packets.apply_rules(self._director_id, ())
            _restore_forwarding()

    def _claim(self, cid: str, card: Card) -> None:
        holder = self._directory / card.subnet.bridge / card.address
        other = _holder(holder)
        if other and other != cid:
            raise CloudError(
                f"the address {card.address} is taken by the VM '{other}'",
                fix="delete that VM first, or use another address",
            )
        self._record(card.subnet)
        holder.write_text(cid)

    def _record(self, subnet: Subnet) -> None:
        directory = self._directory / subnet.bridge
        if not (directory / "subnet.json").exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(directory / "subnet.json", asdict(subnet))

    def _make(self, subnet: Subnet) -> None:
        _refuse_overlap(subnet, self._director_id)
        name = subnet.bridge
        # Left to itself a bridge takes the lowest address of its ports, so that it changes while
        # machines come and go, and what they sent to the old one is lost.
        digits = name.removeprefix("dir")
        mac = ":".join(("02", *(digits[n : n + 2] for n in range(0, 10, 2))))
        commands = [
            f"link add name {name} address {mac} type bridge",
            f"link set dev {name} addrgenmode none",
        ]
        if subnet.gateway:
            prefix = IPv4Network(subnet.range).prefixlen
            commands.append(f"address add {subnet.gateway}/{prefix} dev {name}")
        run(["ip", "-batch", "-"], stdin="\n".join([*commands, f"link set dev {name} up"]) + "\n")
        # The alias comes in a call of its own: it may hold spaces, which a batch would split.
        alias = f"{_ALIAS}{self._director_id} {subnet.range}"
        run(["ip", "link", "set", "dev", name, "alias", alias])
        if subnet.gateway:
            changed = packets.forward(name)
            _remember_forwarding(changed)

    def _remove(self, bridge: str) -> None:
        if _exists(bridge):
            run(["ip", "link", "delete", "dev", bridge])
        remove_tree(self._directory / bridge)

    def _users(self, bridge: str) -> list[Path]:
        return [p for p in (self._directory / bridge).glob("*") if p.name[0].isdigit()]

    def _ranges(self) -> tuple[tuple[str, str], ...]:
        found = [read_json(path) for path in sorted(self._directory.glob("*/subnet.json"))]
        return tuple((s["bridge"], s["range"]) for s in found if s and _exists(s["bridge"]))


def wait_until_forwarding(
    cards: tuple[Card, ...], init_pid: int, *, timeout_s: float = 2.0
) -> None:
    """Wait until packets pass between the bridges and a machine that was just started.

    The kernel opens both ends of a card a moment after they are up. A packet sent before is lost,
    and its sender tries again only after a second.
    """
    deadline = time.monotonic() + timeout_s
    for index, card in enumerate(cards):
        _wait_for(Path("/sys/class/net", card.link, "brport/state"), _FORWARDING, deadline)
        inside = f"/proc/{init_pid}/root/sys/class/net/eth{index}/operstate"
        _wait_for(Path(inside), "up", deadline)


def _wait_for(path: Path, text: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        with suppress(OSError):
            if path.read_text().strip() == text:
                return
        time.sleep(0.002)


def owned_links(director_id: str) -> list[str]:
    """Return the bridges whose alias names this director, recorded or not."""
    links = sorted(path.name for path in Path("/sys/class/net").iterdir())
    return [link for link in links if _alias(link).startswith(f"{_ALIAS}{director_id} ")]


def _holder(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _refuse_overlap(subnet: Subnet, director_id: str) -> None:
    wanted = IPv4Network(subnet.range)
    for link, there in _networks_of_this_host():
        alias = _alias(link)
        # A host in a wide network may well use a part of it for its machines; anything narrower or
        # equal would lose its packets to the new bridge.
        wide = there.network.supernet_of(wanted) and there.network != wanted
        allowed = wide and not alias.startswith(_ALIAS) and str(there.ip) != subnet.gateway
        if there.network.overlaps(wanted) and not allowed:
            mine = "this " if alias.startswith(f"{_ALIAS}{director_id} ") else ""
            raise CloudError(
                f"the range {wanted} overlaps {there.network} of {mine}{alias or repr(link)}",
                fix="use another range in the cloud config, or delete what uses this one",
            )


def _networks_of_this_host() -> Iterator[tuple[str, IPv4Interface]]:
    """Yield every network this host has an address in, and those of bridges without one."""
    for link in json.loads(run(["ip", "-json", "-4", "address", "show"])):
        for address in link.get("addr_info", ()):
            text = f"{address['local']}/{address['prefixlen']}"
            yield link["ifname"], IPv4Interface(text)
    for path in Path("/sys/class/net").iterdir():
        alias = _alias(path.name)
        if alias.startswith(_ALIAS):
            yield path.name, IPv4Interface(alias.split()[-1])


def _alias(link: str) -> str:
    try:
        return Path("/sys/class/net", link, "ifalias").read_text().strip()
    except OSError:
        return ""


def _remember_forwarding(changed: dict[str, str]) -> None:
    path = HOST_DIRECTORY / "forwarding.json"
    write_json(path, {**changed, **(read_json(path) or {})})


def _restore_forwarding() -> None:
    """Undo what :func:`packets.forward` changed, once no director of this host has a bridge."""
    if any(_alias(path.name).startswith(_ALIAS) for path in Path("/sys/class/net").iterdir()):
        return
    path = HOST_DIRECTORY / "forwarding.json"
    packets.restore(read_json(path) or {})
    path.unlink(missing_ok=True)

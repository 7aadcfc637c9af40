"""What lets packets through: masquerading, other people's dropping FORWARD chains, forwarding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cpis.local.processes import is_installed, run

_SYSCTL = Path("/proc/sys/net/ipv4/conf")


def apply_rules(director_id: str, subnets: tuple[tuple[str, str], ...]) -> None:
    """Make the packet filter fit exactly these (bridge, range) pairs of a director.

    One table of the director's own holds the masquerading and is replaced in one transaction.
    Chains of others that drop forwarded packets by policy (dockerd makes one) get accept rules for
    the bridges, marked with the director's name, since an accept elsewhere would not count there.
    """
    run(["nft", "-f", "-"], stdin=_own_table(director_id, tuple(r for _, r in subnets)))
    for family, table, chain in _dropping_chains():
        _accept(director_id, (family, table, chain), [bridge for bridge, _ in subnets])
    _accept_legacy(director_id, [bridge for bridge, _ in subnets])


def table_name(director_id: str) -> str:
    """Return the name of a director's own table."""
    return f"director_{hashlib.sha256(director_id.encode()).hexdigest()[:10]}"


def forward(bridge: str) -> dict[str, str]:
    """Let the kernel forward between a bridge and the way out; returns what was set before.

    Only these interfaces are switched, not the whole host, which would begin to route for others.
    """
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
    changed = {}
    for link in (bridge, *(route["dev"] for route in routes if "dev" in route)):
        switch = _SYSCTL / link / "forwarding"
        before = switch.read_text().strip()
        if before != "1":
            switch.write_text("1")
            if link != bridge:
                changed[link] = before
    return changed


def restore(changed: Mapping[str, str]) -> None:
    """Set forwarding as it was before; interfaces that are gone need nothing."""
    for link, before in changed.items():
        with suppress(FileNotFoundError):
            (_SYSCTL / link / "forwarding").write_text(before)


def _own_table(director_id: str, ranges: tuple[str, ...]) -> str:
    name = table_name(director_id)
    gone = f"add table ip {name}\ndelete table ip {name}\n"
    if not ranges:
        return gone
    members = ", ".join(ranges)
    return f"""{gone}table ip {name} {{
  set ranges {{ type ipv4_addr; flags interval; elements = {{ {members} }} }}
  chain out {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @ranges ip daddr != @ranges masquerade
  }}
}}
"""


def _dropping_chains() -> list[tuple[str, str, str]]:
    listed = json.loads(run(["nft", "-j", "list", "chains"]))["nftables"]
    chains = [entry["chain"] for entry in listed if "chain" in entry]
    return [
        (c["family"], c["table"], c["name"])
        for c in chains
        if c.get("hook") == "forward"
        and c.get("policy") == "drop"
        and c["family"] in ("ip", "inet")
    ]


def _accept(director_id: str, chain: tuple[str, str, str], bridges: list[str]) -> None:
    mark = table_name(director_id)
    listed = json.loads(run(["nft", "-j", "-a", "list", "chain", *chain]))["nftables"]
    rules: list[dict[str, Any]] = [entry["rule"] for entry in listed if "rule" in entry]
    where = " ".join(chain)
    batch = [f"delete rule {where} handle {r['handle']}" for r in rules if r.get("comment") == mark]
    for bridge in bridges:
        for side in ("iifname", "oifname"):
            batch.append(f'insert rule {where} {side} "{bridge}" accept comment "{mark}"')
    if batch:
        run(["nft", "-f", "-"], stdin="\n".join(batch) + "\n")


def _accept_legacy(director_id: str, bridges: list[str]) -> None:
    """Do the same for rules of the old iptables, which nft does not see."""
    tables = Path("/proc/net/ip_tables_names")
    program = "iptables-legacy"
    if not tables.exists() or "filter" not in tables.read_text() or not is_installed(program):
        return
    rules = run([program, "-S", "FORWARD"]).splitlines()
    mark = table_name(director_id)
    for rule in rules:
        if mark in rule:
            run([program, "-D", *rule.replace('"', "").split()[1:]])
    if "-P FORWARD DROP" not in rules:
        return
    for bridge in bridges:
        for side in ("-i", "-o"):
            match = [side, bridge, "-m", "comment", "--comment", mark]
            run([program, "-I", "FORWARD", *match, "-j", "ACCEPT"])

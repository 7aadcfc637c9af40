"""Reading what ``state.sh`` prints: what is installed, and the machine's vitals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.machine.bundles import Part

_LINK = re.compile(r" (\S+) -> /var/vcap/data/(job|package)s/([^/\s]+)/([^/\s]+)$")
_CHECK = re.compile(r"\s*check\s+process\s+\"?([^\s\"]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is on a machine. ``have`` holds what lies there, ``jobs`` and ``packages`` what is
    linked; ``monit_user`` are monit's credentials, never to be shown."""

    spec_digest: str = ""
    started: bool = False
    have: frozenset[Part] = frozenset()
    jobs: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    disk: str | None = None
    processes: tuple[str, ...] = ()
    monit_user: str = field(default="", repr=False)
    vitals: Mapping[str, Any] = field(default_factory=dict)


def read_inventory(text: str) -> Inventory:
    """Return what ``text``, the output of ``state.sh``, tells; unknown lines are passed over."""
    installed, _, measured = text.partition("\n== ")
    single: dict[str, str] = {}
    have: set[Part] = set()
    links: dict[str, dict[str, str]] = {"job": {}, "package": {}}
    processes: list[str] = []
    for line in installed.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("spec", "monit", "disk", "started"):
            single[word] = rest
        elif word == "have" and rest.count("/") == 2:
            kind, name, digest = rest.split("/")
            have.add((kind.removesuffix("s"), name, digest))
        elif link := _LINK.search(line):
            links[link[2]][link[1]] = link[4]
        elif check := _CHECK.match(line):
            processes.append(check[1])
    return Inventory(
        spec_digest=single.get("spec", ""),
        started="started" in single,
        have=frozenset(have),
        jobs=links["job"],
        packages=links["package"],
        disk=single.get("disk"),
        processes=tuple(processes),
        monit_user=single.get("monit", ""),
        vitals=_vitals("\n== " + measured) if measured else {},
    )


def _vitals(text: str) -> dict[str, Any]:
    sections: dict[str, list[str]] = {}
    for chunk in text.split("\n== ")[1:]:
        title, *lines = chunk.splitlines()
        sections[title] = [line for line in lines if line.strip()]
    memory = {
        words[0].rstrip(":"): int(words[1])
        for words in map(str.split, sections.get("meminfo", []))
        if len(words) > 1 and words[1].isdigit()
    }
    load = (sections.get("loadavg") or ["0 0 0"])[0].split()[:3]
    return {
        "cpu": _cpu(sections.get("cpu", [])),
        "disk": _disks(sections.get("dfk", []), sections.get("dfi", [])),
        "load": load,
        "mem": _memory(memory, sections.get("limits", [])),
        "swap": _used(
            memory.get("SwapTotal", 0) - memory.get("SwapFree", 0), memory.get("SwapTotal", 0)
        ),
        "uptime": {"secs": _uptime(sections.get("uptime", []), sections.get("init", []))},
    }


_TICKS_PER_S = 100
"""In what Linux tells the start of a process, whatever its kernel's own clock (USER_HZ)."""


def _uptime(uptime: list[str], init: list[str]) -> int:
    """Return for how long PID 1 runs: a container sees its host's uptime, not its own."""
    host = float(uptime[0].split()[0]) if uptime else 0.0
    fields = init[0].rpartition(")")[2].split() if init else []
    started = int(fields[19]) / _TICKS_PER_S if len(fields) > 19 and fields[19].isdigit() else 0.0
    return int(max(0.0, host - started))


def _cpu(lines: list[str]) -> dict[str, str]:
    """Return the share of time since the last sample; the first sample counts from boot."""
    samples = [[int(w) for w in line.split()[1:] if w.isdigit()] for line in lines]
    samples = [sample for sample in samples if len(sample) >= 5]
    if not samples:
        return {"sys": "0.0", "user": "0.0", "wait": "0.0"}
    before = samples[-2] if len(samples) > 1 else [0] * len(samples[-1])
    spent = [now - then for now, then in zip(samples[-1], before, strict=False)]
    if len(samples) > 1 and (sum(spent) <= 0 or min(spent) < 0):
        spent = samples[-1]
    total = sum(spent) or 1
    user, system, wait = spent[0] + spent[1], spent[2], spent[4]
    return {
        "sys": f"{100 * system / total:.1f}",
        "user": f"{100 * user / total:.1f}",
        "wait": f"{100 * wait / total:.1f}",
    }


def _memory(memory: Mapping[str, int], limits: list[str]) -> dict[str, str]:
    total = memory.get("MemTotal", 0)
    used = total - memory.get("MemAvailable", total)
    given = dict(line.split(" ", 1) for line in limits if " " in line)
    for limit, current in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        # A container sees its host's memory in /proc; its own bounds are told here.
        if given.get(limit, "").isdigit() and given.get(current, "").isdigit():
            bound = int(given[limit]) // 1024
            if 0 < bound < total:
                return _used(int(given[current]) // 1024, bound)
    return _used(used, total)


def _used(kb: int, total: int) -> dict[str, str]:
    return {"kb": str(max(kb, 0)), "percent": str(round(100 * kb / total) if total else 0)}


_DISK_NAMES = {"/": "system", "/var/vcap/data": "ephemeral", "/var/vcap/store": "persistent"}


def _disks(blocks: list[str], inodes: list[str]) -> dict[str, dict[str, str]]:
    disks: dict[str, dict[str, str]] = {}
    for key, lines in (("percent", blocks), ("inode_percent", inodes)):
        for line in lines:
            words = line.split()
            name = _DISK_NAMES.get(words[0])
            share = next((w for w in words[1:] if w.endswith("%") or w == "-"), None)
            if name and share:
                disk = disks.setdefault(name, {"inode_percent": "0", "percent": "0"})
                disk[key] = share.rstrip("%").replace("-", "0") or "0"
    return disks

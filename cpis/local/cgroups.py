"""Limits by cgroups, for hosts with v1, v2 or both at once: LXC's settings, or files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cpis.contract import CloudError
from cpis.local.properties import VmProperties
from cpis.local.runtime import Device

# What a machine may open of itself: null zero full random urandom tty console ptmx and its ptys.
_CHARACTER = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136:*")
ALLOWED = ("c *:* m", "b *:* m", *(f"c {number} rwm" for number in _CHARACTER))
PERIOD_US = 100_000
_ROOT = Path("/sys/fs/cgroup")


def v1_controllers(mounts: str | None = None) -> frozenset[str]:
    """Return the controllers mounted as cgroup v1; ``mounts`` is the text of /proc/mounts."""
    text = Path("/proc/mounts").read_text() if mounts is None else mounts
    found: set[str] = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[2] == "cgroup":
            found.update(fields[3].split(","))
    return frozenset(found)


def limit_settings(
    limits: VmProperties, devices: Iterable[Device], v1: frozenset[str]
) -> list[tuple[str, str]]:
    """Return LXC's settings for the limits; each controller's is v1's where v1 has it."""
    settings = []
    group = "lxc.cgroup.devices" if "devices" in v1 else "lxc.cgroup2.devices"
    settings.append((f"{group}.deny", "a"))
    settings.extend((f"{group}.allow", rule) for rule in ALLOWED)
    settings.extend((f"{group}.allow", device_rule(device)) for device in devices)
    if limits.memory_mb is not None:
        key = "lxc.cgroup.memory.limit_in_bytes" if "memory" in v1 else "lxc.cgroup2.memory.max"
        settings.append((key, str(limits.memory_mb * 1024 * 1024)))
    if limits.cpu is not None:
        quota = max(1000, round(limits.cpu * PERIOD_US))
        if "cpu" in v1:
            settings.append(("lxc.cgroup.cpu.cfs_period_us", str(PERIOD_US)))
            settings.append(("lxc.cgroup.cpu.cfs_quota_us", str(quota)))
        else:
            settings.append(("lxc.cgroup2.cpu.max", f"{quota} {PERIOD_US}"))
    return settings


def device_rule(device: Device) -> str:
    """Return the device cgroup's words for a block device."""
    return f"b {device.major}:{device.minor} rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One cgroup of a machine that no container manager looks after; ``files`` are its limits."""

    path: Path
    files: tuple[tuple[str, str], ...] = ()

    def make(self) -> None:
        """Make the cgroup and write its limits. Raises CloudError for a limit the kernel lacks."""
        self.path.mkdir(exist_ok=True)
        for name, value in self.files:
            try:
                (self.path / name).write_text(value)
            except OSError as error:
                raise CloudError(
                    f"the kernel does not take the limit {name} = {value}: {error}",
                    fix="leave the limit out of the VM's cloud properties, or install lxc",
                ) from error

    def remove(self) -> None:
        """Remove the cgroup once it is empty, which takes a moment after its last process."""
        deadline = time.monotonic() + 2
        while self.path.exists():
            try:
                self.path.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.005)

    def device(self, verb: str, device: Device) -> None:
        """Allow or deny a device, where the kernel has device files at all."""
        file = self.path / f"devices.{verb}"
        if file.exists():
            file.write_text(device_rule(device))


def groups_for(
    cid: str, limits: VmProperties | None = None, devices: Iterable[Device] = ()
) -> tuple[Group, ...]:
    """Return the cgroups of a machine, with its limits where they are given."""
    v1 = v1_controllers()
    limits = limits or VmProperties()
    files: dict[str, list[tuple[str, str]]] = {}
    prefix = len("lxc.cgroup.")
    for key, value in limit_settings(limits, devices, v1):
        name = key[prefix:] if key.startswith("lxc.cgroup.") else key[prefix + 1 :]
        controller = name.split(".")[0] if key.startswith("lxc.cgroup.") else ""
        files.setdefault(controller, []).append((name, value))
    # On v2 a program stands in for devices.allow; these machines do without.
    unified = [pair for pair in files.get("", ()) if not pair[0].startswith("devices")]
    found = [
        Group(path=_ROOT / c / f"director.{cid}", files=tuple(files.get(c, ())))
        for c in ("devices", "memory", "cpu")
        if c in v1
    ]
    if not v1:
        found.append(Group(path=_ROOT / f"director.{cid}", files=tuple(unified)))
    return tuple(found)

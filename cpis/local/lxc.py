"""Machines as LXC containers: own root, processes, host name, network and devices."""

from __future__ import annotations

from pathlib import Path

from cpis.contract import CloudError
from cpis.local.cgroups import device_rule, limit_settings, v1_controllers
from cpis.local.endings import end_machine
from cpis.local.processes import ProgramFailed, run
from cpis.local.runtime import START_TIMEOUT_S, Box, Device

_SETTINGS = (
    ("lxc.mount.auto", "proc:mixed sys:mixed cgroup:ro:force"),
    ("lxc.mount.entry", "tmpfs run tmpfs rw,nosuid,nodev,mode=755,create=dir 0 0"),
    ("lxc.mount.entry", "tmpfs dev/shm tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0"),
    ("lxc.autodev", "1"),
    ("lxc.tty.max", "0"),
    ("lxc.pty.max", "1024"),
    ("lxc.apparmor.profile", "unconfined"),
    ("lxc.cap.drop", "sys_module mac_admin mac_override sys_time"),
    ("lxc.init.cmd", "/etc/director/init"),
    ("lxc.signal.halt", "SIGTERM"),
    # A monitor that is killed takes its machine along: nothing runs that nobody can stop.
    ("lxc.monitor.signal.pdeath", "SIGKILL"),
    ("lxc.console.size", "256kB"),
)


class LxcRuntime:
    """Satisfies :class:`cpis.local.runtime.Runtime`."""

    def start(self, box: Box) -> None:
        config = box.directory / "config"
        config.write_text(lxc_config(box, v1_controllers()))
        log = box.directory / "lxc.log"
        # -d puts the monitor into a session of its own; nothing that ends the director reaches it.
        command = ["lxc-start", "-P", str(box.directory.parent), "-n", box.cid, "-f", str(config)]
        try:
            run([*command, "-o", str(log), "-l", "WARN", "-d"], timeout_s=START_TIMEOUT_S)
        except ProgramFailed as error:
            raise CloudError(
                f"the machine '{box.cid}' did not start: {error.what}{_last_lines(log)}",
                ok_to_retry=True,
            ) from error

    def stop(self, cid: str, directory: Path, *, clean: bool) -> None:
        init_pid = self.init_pid(cid, directory)
        if init_pid is not None:
            end_machine(cid, init_pid, clean=clean)

    def init_pid(self, cid: str, directory: Path) -> int | None:
        command = ["lxc-info", "-P", str(directory.parent), "-n", cid, "-p", "-H"]
        try:
            text = run(command).strip()
        except ProgramFailed:
            return None
        return int(text) if text.isdigit() and int(text) > 0 else None

    def allow(self, cid: str, directory: Path, device: Device) -> None:
        self._devices(cid, directory, "devices.allow", device)

    def deny(self, cid: str, directory: Path, device: Device) -> None:
        self._devices(cid, directory, "devices.deny", device)

    def _devices(self, cid: str, directory: Path, key: str, device: Device) -> None:
        # lxc-cgroup knows both: a file of cgroup v1, and the program cgroup v2 has instead.
        run(["lxc-cgroup", "-P", str(directory.parent), "-n", cid, key, device_rule(device)])


def lxc_config(box: Box, v1: frozenset[str]) -> str:
    """Return the text of a machine's LXC configuration."""
    settings = [
        ("lxc.uts.name", box.hostname),
        ("lxc.rootfs.path", f"overlayfs:{box.image}:{box.directory / 'upper'}"),
        ("lxc.console.logfile", str(box.console)),
        *_SETTINGS,
        *limit_settings(box.limits, box.devices, v1),
    ]
    for index, card in enumerate(box.cards):
        net = f"lxc.net.{index}"
        settings += [
            (f"{net}.type", "veth"),
            (f"{net}.veth.pair", card.link),
            (f"{net}.link", card.subnet.bridge),
            (f"{net}.name", f"eth{index}"),
            (f"{net}.hwaddr", card.mac),
            (f"{net}.ipv4.address", f"{card.interface} {card.broadcast}"),
            (f"{net}.flags", "up"),
        ]
        if card.default_route and card.subnet.gateway:
            settings.append((f"{net}.ipv4.gateway", card.subnet.gateway))
    if box.devices:
        hook = box.directory / "devices.sh"
        hook.write_text(_device_script(box.devices))
        hook.chmod(0o700)
        settings.append(("lxc.hook.autodev", str(hook)))
    return "".join(f"{key} = {value}\n" for key, value in settings)


def _device_script(devices: tuple[Device, ...]) -> str:
    """Return what LXC runs in a machine's mounts just before its first process."""
    lines = ["#!/bin/sh -e", 'mkdir -p "$LXC_ROOTFS_MOUNT/dev/director"']
    for device in devices:
        node = f'"$LXC_ROOTFS_MOUNT/dev/director/{device.name}"'
        lines.append(f"mknod -m 660 {node} b {device.major} {device.minor}")
    return "\n".join(lines) + "\n"


def _last_lines(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()[-4:]
    except FileNotFoundError:
        return ""
    return "".join(f"\n    {line}" for line in lines)

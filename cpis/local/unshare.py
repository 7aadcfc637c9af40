"""Machines without LXC: namespaces by util-linux, limits by cgroup files.

Weaker than LXC in one thing: on hosts with cgroup v2 alone there is no device cgroup, and the
machine is only kept from making device nodes by a capability it lacks.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from importlib.resources import as_file, files
from pathlib import Path

from cpis.contract import CloudError
from cpis.local.cgroups import Group, groups_for
from cpis.local.endings import end_machine
from cpis.local.processes import run
from cpis.local.runtime import START_TIMEOUT_S, Box, Device
from cpis.local.state import is_alive, process_start, read_json, write_json

_DROPPED = "-mknod,-sys_module,-sys_rawio,-sys_time,-mac_admin,-mac_override"
_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork")


class UnshareRuntime:
    """Satisfies :class:`cpis.local.runtime.Runtime`."""

    def start(self, box: Box) -> None:
        for name in ("root", "work"):
            (box.directory / name).mkdir(mode=0o755, exist_ok=True)
        for name in ("built", "monitor.pid", "init.json"):
            (box.directory / name).unlink(missing_ok=True)
        groups = groups_for(box.cid, box.limits, box.devices)
        for group in groups:
            group.make()
        process = _spawn(box, groups)
        try:
            self._bring_up(box, process)
        except BaseException:
            process.kill()
            self.stop(box.cid, box.directory, clean=False)
            raise
        finally:
            process.wait()

    def stop(self, cid: str, directory: Path, *, clean: bool) -> None:
        init_pid = self.init_pid(cid, directory)
        if init_pid is not None:
            end_machine(cid, init_pid, clean=clean)
        for group in groups_for(cid):
            group.remove()

    def init_pid(self, cid: str, directory: Path) -> int | None:  # noqa: ARG002 -- the protocol's
        data = read_json(directory / "init.json")
        if data is None or not is_alive(data["pid"], data["started"]):
            return None
        return int(data["pid"])

    def allow(self, cid: str, directory: Path, device: Device) -> None:  # noqa: ARG002
        for group in groups_for(cid):
            group.device("allow", device)

    def deny(self, cid: str, directory: Path, device: Device) -> None:  # noqa: ARG002
        for group in groups_for(cid):
            group.device("deny", device)

    def _bring_up(self, box: Box, process: subprocess.Popen[bytes]) -> None:
        init_pid = _wait_for_init(box)
        write_json(
            box.directory / "init.json", {"pid": init_pid, "started": process_start(init_pid)}
        )
        _wait_until_built(box, init_pid)
        _connect(box, init_pid)
        for device in box.devices:
            node = Path(f"/proc/{init_pid}/root{box.directory}/root/dev/director/{device.name}")
            os.mknod(node, 0o060660, os.makedev(device.major, device.minor))
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()


def _spawn(box: Box, groups: tuple[Group, ...]) -> subprocess.Popen[bytes]:
    """Start a shell that joins the cgroups, tells its id and becomes ``unshare``.

    ``setsid --fork`` makes it nobody's child: it stays when this process goes.
    """
    joins = "".join(f'echo $$ > "{group.path}/cgroup.procs"\n' for group in groups)
    script = f'{joins}echo $$ > "$1/monitor.pid"\nshift\nexec "$@"\n'
    with as_file(files("cpis.local").joinpath("unshare_enter.sh")) as packaged:
        # The package may lie in an archive: the machine gets a copy that stays.
        enter = box.directory / "enter.sh"
        enter.write_text(packaged.read_text())
    command = [
        "unshare",
        *_NAMESPACES,
        "--kill-child=SIGKILL",
        "setpriv",
        "--bounding-set",
        _DROPPED,
    ]
    command += ["sh", str(enter), str(box.directory), str(box.image), box.hostname]
    shell = ["setsid", "--fork", "sh", "-ec", script, "sh", str(box.directory), *command]
    with box.console.open("ab") as console:
        return subprocess.Popen(
            shell, stdin=subprocess.PIPE, stdout=console, stderr=console, cwd="/"
        )


def _wait_for_init(box: Box) -> int:
    """Return the id of the one child ``unshare`` forks into the new process namespace."""
    deadline = time.monotonic() + START_TIMEOUT_S
    file = box.directory / "monitor.pid"
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError):
            monitor = int(file.read_text())
            children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
            if children:
                return int(children[0])
        time.sleep(0.002)
    raise CloudError(f"the machine '{box.cid}' did not start: {_said(box)}")


def _wait_until_built(box: Box, init_pid: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (box.directory / "built").exists():
        if not process_start(init_pid) or time.monotonic() > deadline:
            raise CloudError(f"the machine '{box.cid}' did not start: {_said(box)}")
        time.sleep(0.002)


def _connect(box: Box, init_pid: int) -> None:
    outside, inside = [], ["link set dev lo up"]
    for index, card in enumerate(box.cards):
        name = f"eth{index}"
        peer = f"peer name {name} address {card.mac} netns {init_pid}"
        outside.append(f"link add name {card.link} type veth {peer}")
        outside.append(f"link set dev {card.link} master {card.subnet.bridge} up")
        inside.append(f"address add {card.interface} broadcast {card.broadcast} dev {name}")
        inside.append(f"link set dev {name} up")
        if card.default_route and card.subnet.gateway:
            inside.append(f"route add default via {card.subnet.gateway} dev {name}")
    run(["ip", "-batch", "-"], stdin="\n".join(outside) + "\n")
    enter = ["nsenter", f"--net=/proc/{init_pid}/ns/net"]
    run([*enter, "ip", "-batch", "-"], stdin="\n".join(inside) + "\n")


def _said(box: Box) -> str:
    try:
        return box.console.read_text(errors="replace")[-500:].strip() or "no message"
    except FileNotFoundError:
        return "no message"

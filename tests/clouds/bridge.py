"""Real machines for a cloud that boots none: what the cloud reports happens on this host.

For every server a local machine is booted that has its address and carries out its user data; for
every attached volume a disk of this host appears in it, under the names udev would give. What the
cloud detaches or deletes goes here too, and a volume's data stays as long as the volume.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Protocol

from clouds import cloud_init

from cpis.local import LocalCpi
from director.machine.host_keys import new_host_key
from director.model.ids import AgentId, DiskCid, StemcellCid, VmCid

POLL_S = 0.2
EARLY_DONE = "/run/cloud-init-early-done"

# In the place of the image's sshd: real machines run cloud-init's early part before it.
_SSHD = f"""#!/bin/sh
while [ ! -e {EARLY_DONE} ]; do sleep 0.02; done
exec /usr/sbin/sshd-of-image -D -e
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that is not ended, as its cloud tells of it.

    ``volumes`` are the attached ones with the paths they have in the server. ``scratch`` are
    paths and MiB of blank disks that live and die with the server. ``reboots`` counts them.
    """

    id: str
    image: str
    address: IPv4Interface
    gateway: str
    user_data: str
    volumes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scratch: Mapping[str, int] = field(default_factory=dict)
    reboots: int = 0


class Cloud(Protocol):
    """What the bridge asks a cloud, with an administrator's eyes."""

    def servers(self) -> Mapping[str, Server]:
        """Return the servers that are there or being made."""
        ...

    def volumes(self) -> Mapping[str, int]:
        """Return the volumes there are, with their sizes in MiB."""
        ...


@dataclass
class _Machine:
    """A local machine that stands for a server. ``shown`` are the volumes' disks it was given,
    ``scratch`` those that go with it."""

    vm: VmCid
    config: Mapping[str, Any]
    pid: int
    reboots: int
    shown: dict[str, DiskCid] = field(default_factory=dict)
    scratch: list[DiskCid] = field(default_factory=list)
    late: Future[None] | None = None


class Bridge:
    """Keeps local machines like the servers of a cloud; see :func:`bridge`."""

    def __init__(self, cloud: Cloud, cpi: LocalCpi, image: Path) -> None:
        self._cloud = cloud
        self._cpi = cpi
        self._image = image
        self._machines: dict[str, _Machine] = {}
        self._disks: dict[str, tuple[DiskCid, int]] = {}
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="cloud-init")
        self._thread = threading.Thread(target=self._watch, name="bridge", daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(60)
        self._pool.shutdown(cancel_futures=True)

    def check(self) -> None:
        """Raise what went wrong in the bridge since it was started."""
        if self.error is not None:
            raise AssertionError(f"the bridge failed: {self.error!r}") from self.error

    def names(self) -> set[str]:
        """Return the servers that have machines that cloud-init's early part was done on."""
        return set(self._machines)

    def run_in(self, server: str, command: str) -> str:
        """Run a shell command as root in a server's machine; returns what it printed."""
        return _run(self._machines[server].pid, command)

    def console(self, server: str) -> str:
        return self._cpi.console_output(self._machines[server].vm)

    def _watch(self) -> None:
        while not self._ended.wait(POLL_S):
            try:
                self._follow()
            except BaseException as error:  # noqa: BLE001 -- the test's thread raises it
                self.error = error
                return

    def _follow(self) -> None:
        servers, volumes = self._cloud.servers(), self._cloud.volumes()
        for gone in set(self._machines) - set(servers):
            machine = self._machines.pop(gone)
            self._cpi.delete_vm(machine.vm)
            for cid in machine.scratch:
                self._cpi.delete_disk(cid)
        for name, machine in self._machines.items():
            self._settle(machine, servers[name])
        for volume in set(self._disks) - set(volumes):
            self._cpi.delete_disk(self._disks.pop(volume)[0])
        for volume, size_mb in volumes.items():
            self._size(volume, size_mb)
        for name, server in servers.items():
            found = self._machines.get(name)
            if found is None:
                self._machines[name] = self._boot(server)
            elif found.reboots != server.reboots:
                self._reboot(found, server)
            else:
                for volume in set(server.volumes) - set(found.shown):
                    self._show(found, volume, server.volumes[volume])

    def _settle(self, machine: _Machine, server: Server) -> None:
        for volume in set(machine.shown) - set(server.volumes):
            self._hide(machine, volume)
        if machine.late is not None and machine.late.done():
            machine.late.result()
            machine.late = None

    # -- machines ---------------------------------------------------------------------------------

    @cached_property
    def _stemcell(self) -> StemcellCid:
        return _plain_image(self._cpi, self._image)

    def _boot(self, server: Server) -> _Machine:
        config = cloud_init.parse(server.user_data)
        key = new_host_key()  # not the one the user data has: that one has to arrive by itself
        env = {"ssh_host_key": {"private_key": key.private_key, "public_key": key.public_key}}
        network = {
            "type": "manual",
            "ip": str(server.address.ip),
            "netmask": str(server.address.netmask),
            "gateway": server.gateway,
            "dns": [],
            "default": ["dns", "gateway"],
            "cloud_properties": {},
        }
        vm, _ = self._cpi.create_vm(
            AgentId(server.id), self._stemcell, {}, {"net": network}, [], {"bosh": env}
        )
        machine = _Machine(vm=vm, config=config, pid=self._pid(vm), reboots=server.reboots)
        _run(machine.pid, "cat >/etc/image-of-cloud", stdin=server.image.encode())
        for path, size_mb in server.scratch.items():
            cid = self._cpi.create_disk(size_mb, {}, vm, token=f"{server.id} {path}")
            machine.scratch.append(cid)
            self._give(machine, cid, (path,))
        self._start(machine, server, first=True)
        return machine

    def _reboot(self, machine: _Machine, server: Server) -> None:
        self._cpi.reboot_vm(machine.vm)
        machine.pid, machine.reboots = self._pid(machine.vm), server.reboots
        self._start(machine, server, first=False)

    def _start(self, machine: _Machine, server: Server, *, first: bool) -> None:
        for volume, paths in server.volumes.items():
            self._show(machine, volume, paths)
        run = partial(_run, machine.pid)
        if not first:
            run(
                "while read -r what where how _; do case $where in /var/vcap/data) mount -t $how"
                ' "$(for d in /dev/director/*; do [ "UUID=$(blkid -p -s UUID -o value $d)" ='
                ' "$what" ] && echo $d; done)" $where ;; esac; done </etc/fstab'
            )
        cloud_init.early(run, machine.config, first=first)
        run(f": >{EARLY_DONE}")
        machine.late = self._pool.submit(cloud_init.late, run, machine.config, first=first)

    def _pid(self, vm: VmCid) -> int:
        pid = self._cpi._machines.init_pid(vm)
        assert pid is not None, f"the machine {vm} ended at once: {self._cpi.console_output(vm)}"
        return pid

    # -- disks ------------------------------------------------------------------------------------

    def _size(self, volume: str, size_mb: int) -> None:
        cid, had_mb = self._disks.get(volume, (None, 0))
        if cid is None:
            cid = self._cpi.create_disk(size_mb, {}, None, token=volume)
        elif size_mb > had_mb:
            self._cpi.resize_disk(cid, size_mb)
        self._disks[volume] = cid, size_mb

    def _show(self, machine: _Machine, volume: str, paths: Sequence[str]) -> None:
        if volume in self._disks:
            self._give(machine, self._disks[volume][0], paths)
            machine.shown[volume] = self._disks[volume][0]

    def _give(self, machine: _Machine, cid: DiskCid, paths: Sequence[str]) -> None:
        node = self._cpi.attach_disk(machine.vm, cid)
        for path in paths:
            _run(machine.pid, f'mkdir -p "$(dirname {path})" && ln -sfn {node} {path}')

    def _hide(self, machine: _Machine, volume: str) -> None:
        """Take a disk away; LocalCpi refuses, and the test fails, where it is still mounted."""
        cid = machine.shown.pop(volume)
        self._cpi.detach_disk(machine.vm, cid)
        remove = f'[ "$(readlink "$l")" != /dev/director/{cid} ] || rm -f "$l"'
        _run(machine.pid, f"find /dev -type l | while read -r l; do {remove}; done")


@contextmanager
def bridge(cloud: Cloud, cpi: LocalCpi, image: Path) -> Iterator[Bridge]:
    """Yield a running bridge whose machines ``cpi`` makes of ``image``, a root filesystem.

    Raises at the end what went wrong in it. The machines go with ``cpi``.
    """
    made = Bridge(cloud, cpi, image)
    made.start()
    try:
        yield made
    finally:
        made.stop()
    made.check()


def wait_for(bridge: Bridge, what: str, look: Callable[[], bool], timeout_s: float = 30) -> None:
    """Wait until ``look`` says so."""
    deadline = time.monotonic() + timeout_s
    while not look():
        bridge.check()
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _plain_image(cpi: LocalCpi, image: Path) -> StemcellCid:
    """Unpack the image, and make of it what clouds have: nothing of BOSH's, no user vcap."""
    cid = cpi.create_stemcell(str(image), {})
    root = cpi._machines.image(cid)
    (root / "usr/sbin/sshd").rename(root / "usr/sbin/sshd-of-image")
    (root / "usr/sbin/sshd").write_text(_SSHD)
    (root / "usr/sbin/sshd").chmod(0o755)
    subprocess.run(
        ["chroot", root, "sh", "-c", "rm -rf /var/vcap /etc/sudoers.d/bosh*; userdel -r vcap"],
        check=True,
        capture_output=True,
    )
    return cid


def _run(pid: int, command: str, stdin: bytes = b"") -> str:
    """Run a shell command as root in the machine whose first process is ``pid``."""
    enter = ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w"]
    done = subprocess.run(
        [*enter, "/bin/sh", "-c", command], input=stdin, capture_output=True, timeout=300
    )
    told = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, f"{command[:200]}: {done.returncode}: {told[-2000:]}"
    return done.stdout.decode(errors="replace")

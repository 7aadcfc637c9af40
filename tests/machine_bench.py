"""Machines to test with, and small things to put on them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from director.machine.contract import Bundle, InstalledPackage, Machine, StopRequest
from director.machine.memory_machine import MemoryMachine
from director.model.amounts import WatchTime
from director.model.ids import AgentId
from director.model.rendered import RenderedFile, RenderedJob

ADDRESS = "10.231.77.10"
QUICK = WatchTime(0, 10_000)


def ignore(_: str) -> None:
    """Nobody listens to what the machine does."""


@dataclass
class Bench:
    """A machine under test, and how to give it another disk."""

    machine: Machine
    new_disk: Callable[[], str]
    cancelled: threading.Event = field(default_factory=threading.Event)
    reboot: Callable[[], None] = lambda: None

    @property
    def real(self) -> bool:
        return not isinstance(self.machine, MemoryMachine)


@dataclass(kw_only=True)
class LocalVm:
    """A real machine of the local CPI, and everything needed to reach it."""

    cpi: Any
    cid: Any
    host_key: Any
    login_key: Any


@contextmanager
def local_vm(keys_in: Path) -> Iterator[LocalVm]:
    """A local machine; its login key is made in the directory ``keys_in``."""
    from local_machines import (
        local_cpi,
        machine_env,
        manual_network,
        stemcell_image,
        wait_for_sshd,
    )

    from director.machine.host_keys import load_or_make_login_key, new_host_key

    login, host = load_or_make_login_key(keys_in / "login"), new_host_key()
    env = machine_env(host, login.public_key)
    network = manual_network(ADDRESS, gateway=ADDRESS.rpartition(".")[0] + ".1")
    with local_cpi("machine") as cpi:
        stemcell = cpi.create_stemcell(str(stemcell_image()), {})
        agent = AgentId("agent-under-test")
        cid, _ = cpi.create_vm(agent, stemcell, {}, {"default": network}, [], env)
        wait_for_sshd(ADDRESS).close()
        yield LocalVm(cpi=cpi, cid=cid, host_key=host, login_key=login)


def memory_bench() -> Bench:
    counter = iter(range(100))
    cancelled = threading.Event()
    machine = MemoryMachine(cancelled.is_set)
    return Bench(machine, lambda: f"/dev/memory{next(counter)}", cancelled)


@contextmanager
def ssh_bench(vm: LocalVm) -> Iterator[Bench]:
    """The local machine over SSH; it is emptied afterwards, for the next test."""
    from local_machines import wait_for_sshd

    from director.machine.ssh_machine import SshMachine
    from director.machine.transport import Transport

    disks: list[Any] = []
    cancelled = threading.Event()

    def new_disk() -> str:
        disks.append(vm.cpi.create_disk(64, {}, vm.cid))
        return str(vm.cpi.attach_disk(vm.cid, disks[-1]))

    def reboot() -> None:
        vm.cpi.reboot_vm(vm.cid)
        wait_for_sshd(ADDRESS).close()

    def connect() -> Transport:
        return Transport(ADDRESS, host_public_key=vm.host_key.public_key, login_key=vm.login_key)

    machine = SshMachine(connect, cancelled.is_set)
    try:
        yield Bench(machine, new_disk, cancelled, reboot)
    finally:
        cancelled.clear()
        machine.stop(StopRequest(skip_drain=True), ignore)
        machine.apply(bundle(), ignore)
        machine.unmount_disk()
        machine.run_command(
            "rm -rf /var/vcap/bosh/spec_digest /var/vcap/sys/log/* /var/vcap/monit/job/* /tmp/seen"
        )
        machine.close()
        for disk in disks:
            vm.cpi.detach_disk(vm.cid, disk)
            vm.cpi.delete_disk(disk)


# -- what is put on them ---------------------------------------------------------------------------


def job(name: str = "redis", monit: str = "", /, **files: str) -> RenderedJob:
    """A job; ``bin__pre_start`` stands for the file ``bin/pre-start``."""
    paths = {path.replace("__", "/").replace("_", "-"): text for path, text in files.items()}
    content = repr((name, monit, sorted(paths.items())))
    return RenderedJob(
        name=name,
        digest=hashlib.sha256(content.encode()).hexdigest(),
        monit=monit.encode(),
        files=tuple(RenderedFile(path=p, content=t.encode()) for p, t in paths.items()),
    )


def script(*lines: str) -> str:
    return "\n".join(["#!/bin/sh", *lines, ""])


def served(name: str = "redis") -> RenderedJob:
    """A job with a process that runs until it is stopped."""
    pid = f"/var/vcap/sys/run/{name}/pid"
    monit = (
        f"check process {name}\n  with pidfile {pid}\n"
        f'  start program "/var/vcap/jobs/{name}/bin/ctl start"\n'
        f'  stop program "/var/vcap/jobs/{name}/bin/ctl stop"\n  group vcap\n'
    )
    ctl = script(
        "case $1 in",
        "start) setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >" + pid + " ;;",
        f"stop) kill $(cat {pid}); rm -f {pid} ;;",
        "esac",
    )
    return job(name, monit, bin__ctl=ctl)


def never_running(name: str = "redis") -> RenderedJob:
    monit = (
        f"check process {name}\n  with pidfile /var/vcap/sys/run/{name}/pid\n"
        '  start program "/bin/false"\n  stop program "/bin/true"\n  group vcap\n'
    )
    return job(name, monit)


def tgz(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text), 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def package(name: str = "redis-server", files: Mapping[str, str] | None = None) -> InstalledPackage:
    content = tgz(files if files is not None else {"bin/server": "#!/bin/sh\necho served\n"})
    digest = hashlib.sha256(content).hexdigest()
    return InstalledPackage(name=name, digest=digest, open=lambda: io.BytesIO(content))


def bundle(*jobs: RenderedJob, packages: tuple[InstalledPackage, ...] = ()) -> Bundle:
    parts = [*(j.digest for j in jobs), *(p.digest for p in packages)]
    return Bundle(
        jobs=jobs,
        packages=packages,
        instance={"id": "i-1", "name": "redis", "az": "z1", "deployment": "dep", "index": "0"},
        spec_digest=hashlib.sha256(repr(parts).encode()).hexdigest(),
    )


def names_in(packed: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        return sorted(m.name.removeprefix("./") for m in tar if m.isfile())

"""Machines to test with, and small things to put on them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

from director.machine.contract import Bundle, InstalledPackage, Machine, StopRequest
from director.machine.memory_machine import MemoryMachine
from director.model.amounts import WatchTime
from director.model.errors import MachineUnreachable
from director.model.ids import AgentId
from director.model.rendered import RenderedFile, RenderedJob

ADDRESS = "10.231.77.10"
QUICK = WatchTime(0, 10_000)


def ignore(_: object) -> None:
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
    address: str = ADDRESS
    connect: Callable[[], Any]


@contextmanager
def local_vm(keys_in: Path, address: str = ADDRESS, name: str = "machine") -> Iterator[LocalVm]:
    """A local machine; its login key is made in the directory ``keys_in``."""
    from local_machines import (
        local_cpi,
        machine_env,
        manual_network,
        stemcell_image,
        wait_for_sshd,
    )

    from director.machine.host_keys import load_or_make_login_key, new_host_key
    from director.machine.transport import Transport

    login, host = load_or_make_login_key(keys_in / "login"), new_host_key()
    env = machine_env(host, login.public_key)
    network = manual_network(address, gateway=address.rpartition(".")[0] + ".1")
    with local_cpi(name) as cpi:
        stemcell = cpi.create_stemcell(str(stemcell_image()), {})
        agent = AgentId("agent-under-test")
        cid, _ = cpi.create_vm(agent, stemcell, {}, {"default": network}, [], env)
        wait_for_sshd(address).close()
        yield LocalVm(
            cpi=cpi,
            cid=cid,
            host_key=host,
            login_key=login,
            address=address,
            connect=lambda: Transport(address, host_public_key=host.public_key, login_key=login),
        )


PASSWORD = "correct horse"

_FOREIGN = r"""
set -e
rm -f /etc/director/ssh_host_key* /root/.ssh/authorized_keys /etc/sudoers.d/*
ssh-keygen -q -t ecdsa -N '' -f /etc/director/ssh_host_key
sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config
read -r hash
printf 'vcap:%s
' "$hash" | chpasswd -e
printf 'Defaults use_pty
vcap ALL=(ALL) ALL
' >/etc/sudoers.d/vcap
mkdir -p /etc/sv/agent /etc/sv/monit /var/vcap/bosh/bin
(sleep 2; : >/etc/sv/monit/ready) </dev/null >/dev/null 2>&1 &
mv /usr/bin/monit /var/vcap/bosh/bin/monit
cat >/usr/sbin/sv <<'SV'
#!/bin/sh
echo "$@" >>/var/vcap/bosh/sv.log
case $1 in
  status) [ -e "/etc/sv/$2/ready" ] && [ ! -e "/etc/sv/$2/down" ] && echo "run: $2: (pid 1)" ;;
esac
SV
chmod 0755 /usr/sbin/sv
kill "$(pgrep -o -x sshd)"
"""
"""Makes of our stemcell one like BOSH's: another host key, no root, sudo with a password, runit."""


@contextmanager
def foreign_vm(keys_in: Path, address: str = "10.239.1.10") -> Iterator[LocalVm]:
    """A local machine that lets only ``vcap`` in, whose sudo wants PASSWORD, and whose host key
    nobody knew before."""
    from local_machines import wait_for_sshd

    from director.machine.become_root import become_root
    from director.machine.password import sha512_crypt
    from director.machine.session import run_on
    from director.machine.transport import Transport, seen_host_key

    with local_vm(keys_in, address, "foreign") as made:
        root = made.connect()
        try:
            done = run_on(
                root.open_session(),
                f"exec sh -c {quote(_FOREIGN)}",
                name="machine",
                feed=lambda sink: ignore(
                    sink.write(f"{sha512_crypt(PASSWORD, 'salt')}\n".encode())
                ),
                cancelled=lambda: False,
            )
        finally:
            root.close()
        assert done.exit_code == 0, done.complaint
        deadline = time.monotonic() + 20
        while not (pinned := _seen(seen_host_key, address)).startswith("ecdsa-"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        wait_for_sshd(address).close()

        def connect() -> Transport:
            transport = Transport(
                address, host_public_key=pinned, login_key=made.login_key, user="vcap"
            )
            become_root(transport, password=lambda: PASSWORD, cancelled=lambda: False)
            return transport

        yield replace(made, connect=connect)


def _seen(look: Callable[[str], str], address: str) -> str:
    try:
        return look(address)
    except MachineUnreachable:
        return ""


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

    disks: list[Any] = []
    cancelled = threading.Event()

    def new_disk() -> str:
        disks.append(vm.cpi.create_disk(64, {}, vm.cid))
        return str(vm.cpi.attach_disk(vm.cid, disks[-1]))

    def reboot() -> None:
        vm.cpi.reboot_vm(vm.cid)
        wait_for_sshd(vm.address).close()

    machine = SshMachine(vm.connect, cancelled.is_set)
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

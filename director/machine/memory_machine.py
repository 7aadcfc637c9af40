"""A machine that is only memory: fast, deterministic, and failing when it is told to."""

from __future__ import annotations

import re
import tarfile
from collections import defaultdict
from collections.abc import Callable
from typing import BinaryIO

from director.machine import commands
from director.machine.bundles import parts_of
from director.machine.contract import (
    Bundle,
    InstalledPackage,
    MachineState,
    OnStatus,
    Process,
    ScriptResult,
    StopRequest,
)
from director.machine.lifecycle import JobResult, raise_failed
from director.machine.log_files import choose_logs, log_base
from director.machine.memory_shell import interpret, pack
from director.model.amounts import WatchTime
from director.model.errors import InstanceNotRunning, MachineError, TaskCancelled
from director.model.rendered import RenderedJob

_CHECK = re.compile(rb"^\s*check\s+process\s+(\S+)", re.MULTILINE | re.IGNORECASE)
_BROKEN = b"/bin/false"

_VITALS = {
    "cpu": {"sys": "1.0", "user": "2.0", "wait": "0.0"},
    "disk": {
        "system": {"inode_percent": "1", "percent": "2"},
        "ephemeral": {"inode_percent": "1", "percent": "2"},
    },
    "load": ["0.01", "0.02", "0.03"],
    "mem": {"kb": "1024", "percent": "1"},
    "swap": {"kb": "0", "percent": "0"},
    "uptime": {"secs": 60},
}


class MemoryMachine:
    """Satisfies :class:`director.machine.contract.Machine` without any machine.

    Scripts are run as far as they consist of ``echo TEXT``, ``echo TEXT >&2`` and ``exit N``; a
    monit file that mentions ``/bin/false`` is of processes that never run. ``calls`` lists what
    was asked. ``fail_next`` makes a method raise; ``disks`` holds, per device, what stands on it.
    """

    def __init__(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        self.cancelled = cancelled
        self.calls: list[str] = []
        self.disks: dict[str, dict[str, bytes]] = {}
        self.users: dict[str, str] = {}
        self.logs: dict[str, bytes] = {}
        self._faults: defaultdict[str, list[Exception]] = defaultdict(list)
        self._bundle: Bundle | None = None
        self._started = False
        self._disk: str | None = None

    def fail_next(self, method: str, error: Exception, *, times: int = 1) -> None:
        """Make the next ``times`` calls of ``method`` raise ``error``."""
        self._faults[method] += [error] * times

    def _called(self, method: str, detail: str = "") -> None:
        self.calls.append(f"{method} {detail}".strip())
        if self._faults[method]:
            raise self._faults[method].pop(0)
        if self.cancelled():
            raise TaskCancelled(f"stopped before {method}")

    # -- looking and installing ------------------------------------------------------------------

    def state(self, *, vitals: bool = False) -> MachineState:
        self._called("state")
        bundle = self._bundle
        processes = self._processes()
        states = {p.state for p in processes}
        word = "stopped" if not self._started else "running"
        return MachineState(
            spec_digest=bundle.spec_digest if bundle else "",
            job_state="failing" if "failing" in states else word,
            processes=processes,
            packages={p.name: p.digest for p in bundle.packages} if bundle else {},
            jobs={j.name: j.digest for j in bundle.jobs} if bundle else {},
            disk=self._disk,
            vitals=_VITALS if vitals else {},
        )

    def _jobs(self) -> tuple[RenderedJob, ...]:
        return self._bundle.jobs if self._bundle else ()

    def _processes(self) -> tuple[Process, ...]:
        found = []
        for job in self._jobs():
            for name in _CHECK.findall(job.monit):
                running = "failing" if _BROKEN in job.monit else "running"
                state = running if self._started else "stopped"
                found.append(Process(name=name.decode(), state=state, uptime_s=1, memory_kb=1))
        return tuple(found)

    def prepare(self, bundle: Bundle, on_status: OnStatus) -> None:
        self._called("prepare")
        parts_of(bundle)
        on_status("downloading packages")

    def apply(self, bundle: Bundle, on_status: OnStatus) -> None:
        self._called("apply")
        parts_of(bundle)
        on_status("installing packages")
        for package in bundle.packages:
            with package.open() as stream:
                stream.read()
        self._bundle = bundle

    # -- starting and stopping -------------------------------------------------------------------

    def start(self, watch: WatchTime, on_status: OnStatus) -> None:
        self._called("start")
        on_status("executing pre-start")
        self._scripts("pre-start")
        on_status("starting jobs")
        for job in self._jobs():
            if job.monit.strip() and not re.match(rb"\s*(check|#)", job.monit):
                raise MachineError(f"monit does not accept the monit file of job '{job.name}'")
        self._started = True
        failing = [p.name for p in self._processes() if p.state != "running"]
        if failing:
            raise InstanceNotRunning(
                f"not all processes run after {watch.maximum_ms / 1000:g} s: "
                + ", ".join(f"'{name}' (failing)" for name in failing)
            )
        on_status("executing post-start")
        self._scripts("post-start")

    def stop(self, request: StopRequest, on_status: OnStatus) -> None:
        self._called("stop", request.drain)
        if request.skip_drain:
            on_status("skipped pre-stop & drain")
        else:
            on_status("executing pre-stop")
            self._scripts("pre-stop")
            on_status("executing drain")
            self._scripts("drain")
        on_status("stopping jobs")
        self._started = False
        on_status("executing post-stop")
        self._scripts("post-stop")

    def run_scripts(self, script: str) -> None:
        self._called("run_scripts", commands.check_name("script", script))
        self._scripts(script)

    def _scripts(self, script: str) -> None:
        results = []
        for job in self._jobs():
            content = _file_of(job, f"bin/{script}")
            if content is not None:
                done = interpret(content)
                results.append(JobResult(job=job.name, exit_code=done.exit_code, said=done.stderr))
                if script != "drain":
                    base = f"{job.name}/{script}"
                    for stream, text in (("stdout", done.stdout), ("stderr", done.stderr)):
                        path = f"{base}.{stream}.log"
                        self.logs[path] = self.logs.get(path, b"") + text.encode()
        raise_failed(script, tuple(sorted(results, key=lambda r: r.job)))

    # -- disks -----------------------------------------------------------------------------------

    def mount_disk(self, device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        self._called("mount_disk", device)
        commands.disk_arguments(device, filesystem, options)
        if self._disk not in (None, device):
            raise MachineError(f"another disk, '{self._disk}', is mounted at /var/vcap/store")
        self.disks.setdefault(device, {})
        self._disk = device

    def unmount_disk(self) -> None:
        self._called("unmount_disk")
        self._disk = None

    def migrate_disk(self, new_device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        self._called("migrate_disk", new_device)
        commands.disk_arguments(new_device, filesystem, options)
        if self._disk is None:
            raise MachineError("no persistent disk is mounted that could be copied")
        if self._disk != new_device:
            if self.disks.get(new_device):
                raise MachineError(f"the new disk '{new_device}' holds files already")
            self.disks[new_device] = dict(self.disks[self._disk])
            self._disk = new_device

    def grow_disk(self) -> None:
        self._called("grow_disk")
        if self._disk is None:
            raise MachineError("no persistent disk is mounted that could grow")

    # -- the rest --------------------------------------------------------------------------------

    def compile_package(
        self,
        *,
        name: str,
        version: str,
        source: BinaryIO,
        dependencies: tuple[InstalledPackage, ...],
        output: BinaryIO,
    ) -> None:
        self._called("compile_package", commands.check_name("package", name))
        commands.check_digest(version)
        for package in dependencies:
            with package.open() as stream:
                stream.read()
        try:
            with tarfile.open(fileobj=source, mode="r|*") as tar:
                contents = {
                    member.name.removeprefix("./"): extracted.read()
                    for member in tar
                    if (extracted := tar.extractfile(member)) is not None
                }
        except tarfile.TarError as error:
            raise MachineError(f"compiling '{name}': its source does not unpack") from error
        done = interpret(contents.pop("packaging", b"exit 1"))
        if done.exit_code != 0:
            raise MachineError(
                f"packaging of '{name}' failed with exit code {done.exit_code}:\n{done.stderr}"
            )
        output.write(pack({f"./{path}": content for path, content in contents.items()}))

    def run_errand(self, job: str) -> ScriptResult:
        self._called("run_errand", job)
        commands.check_name("errand", job)
        for installed in self._jobs():
            content = _file_of(installed, "bin/run")
            if installed.name == job and content is not None:
                return interpret(content)
        return ScriptResult(exit_code=127, stderr=f"the machine has no errand '{job}'\n")

    def run_command(self, command: str, *, timeout_s: float = 60) -> ScriptResult:  # noqa: ARG002
        self._called("run_command", command)
        return interpret(command.replace(";", "\n").encode())

    def fetch_logs(
        self, filters: tuple[str, ...], output: BinaryIO, *, kinds: tuple[str, ...] = ("job",)
    ) -> None:
        self._called("fetch_logs")
        base = log_base(kinds)
        listed = b"".join(f"/var/vcap/sys/log/{path}\0".encode() for path in self.logs)
        chosen = choose_logs(listed, base, filters).decode().split("\0")
        output.write(
            pack(
                {
                    p: self.logs[p.removeprefix("./").removeprefix("var/vcap/sys/log/")]
                    for p in chosen
                    if p
                }
            )
        )

    def add_ssh_user(self, user: str, public_key: str) -> None:
        self._called("add_ssh_user", user)
        self.users[commands.check_user(user)] = commands.check_public_key(public_key)

    def remove_ssh_users(self, pattern: str) -> None:
        self._called("remove_ssh_users", pattern)
        for user in commands.users_matching(pattern, list(self.users)):
            del self.users[user]

    def close(self) -> None:
        self.calls.append("close")


def _file_of(job: RenderedJob, path: str) -> bytes | None:
    return next((f.content for f in job.files if f.path == path), None)

"""A machine reached over SSH."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO

from director.machine import commands
from director.machine.bundles import Parcel, Part, package_parts, parts_of, write_parcel
from director.machine.connection import Connection, TookTooLong
from director.machine.contract import (
    Bundle,
    InstalledPackage,
    MachineState,
    OnStatus,
    Process,
    ScriptResult,
    StopRequest,
)
from director.machine.failures import bound_output, monit_failure
from director.machine.first_boot import run_once_booted
from director.machine.lifecycle import (
    drain_arguments,
    next_states,
    raise_failed,
    read_later,
    read_results,
)
from director.machine.log_files import LOG_DIRECTORIES, choose_logs, log_base
from director.machine.observe import Inventory, read_inventory
from director.machine.session import Outcome, Sink
from director.machine.supervisor import Supervisor, job_state
from director.machine.transport import Transport
from director.machine.watch import watch_start
from director.model.amounts import WatchTime
from director.model.errors import MachineError

_log = logging.getLogger(__name__)

_STOP_S = 300.0
_MISSING, _MONIT_SYNTAX = 75, 65


class SshMachine:
    """Satisfies :class:`director.machine.contract.Machine` over one SSH connection.

    ``connect`` makes a connection when one is needed, again if one is lost between commands.
    ``cancelled`` tells whether the task was asked to stop; scripts, watching and sending end then
    with TaskCancelled, an errand with the result it had.
    """

    def __init__(
        self, connect: Callable[[], Transport], cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self._connection = Connection(connect, cancelled)
        self._run = self._connection.run
        self._once_booted = partial(run_once_booted, self._connection, cancelled=cancelled)
        self._cancelled = cancelled
        self._known: frozenset[Part] = frozenset()
        self._monit_user = ""

    # -- looking ---------------------------------------------------------------------------------

    def state(self, *, vitals: bool = False) -> MachineState:
        found = self._inventory("vitals" if vitals else "plain")
        processes, word = self._processes(found)
        return MachineState(
            spec_digest=found.spec_digest,
            job_state=word,
            processes=processes,
            packages=found.packages,
            jobs=found.jobs,
            disk=found.disk,
            vitals=found.vitals,
        )

    def _inventory(self, what: str = "plain") -> Inventory:
        command = commands.script("state", what)
        outcome = self._once_booted(command, doing="looking at the machine")
        found = read_inventory(outcome.text)
        self._known = found.have
        self._monit_user = found.monit_user
        return found

    def _processes(self, found: Inventory) -> tuple[tuple[Process, ...], str]:
        if not found.started:
            return tuple(Process(name=n, state="stopped") for n in found.processes), "stopped"
        services = self._supervisor().services()
        if services is None:
            return (), "failing"
        return tuple(s.as_process() for s in services), job_state(services)

    def _supervisor(self) -> Supervisor:
        return Supervisor(self._connection.open_tcp, self._monit_user)

    # -- installing ------------------------------------------------------------------------------

    def prepare(self, bundle: Bundle, on_status: OnStatus) -> None:
        wanted = parts_of(bundle)
        missing = wanted - self._inventory().have
        if missing:
            on_status("downloading packages")
            self._send(
                "prepare", Parcel(jobs=bundle.jobs, packages=bundle.packages, missing=missing)
            )
        self._known |= wanted

    def apply(self, bundle: Bundle, on_status: OnStatus) -> None:
        wanted = parts_of(bundle)
        on_status("installing packages")
        # After `prepare` nothing is missing, as a rule: then one round trip does it all.
        if wanted <= self._known and self._send_whole(bundle, frozenset()) == 0:
            return
        missing = wanted - self._inventory().have
        if self._send_whole(bundle, missing) == _MISSING:
            raise MachineError(f"what was sent to {self.name} did not arrive")
        self._known = wanted

    def _send_whole(self, bundle: Bundle, missing: frozenset[Part]) -> int:
        parcel = Parcel(jobs=bundle.jobs, packages=bundle.packages, missing=missing, whole=bundle)
        return self._send("apply", parcel, accept=(0, _MISSING)).exit_code

    def _send(self, mode: str, parcel: Parcel, accept: tuple[int, ...] = (0,)) -> Outcome:
        return self._run(
            commands.script("install", mode),
            doing="installing",
            feed=lambda sink: write_parcel(parcel, sink),
            accept=accept,
        )

    # -- starting and stopping -------------------------------------------------------------------

    def start(self, watch: WatchTime, on_status: OnStatus) -> None:
        on_status("executing pre-start")
        later = self._scripts("pre-start", "lifecycle", ["pre-start"])
        on_status("starting jobs")
        outcome = self._run(
            commands.script("monit", "launch"), doing="starting", accept=(0, _MONIT_SYNTAX)
        )
        if outcome.exit_code == _MONIT_SYNTAX:
            raise monit_failure(self.name, outcome.complaint)
        self._monit_user = outcome.text.strip()
        watch_start(self._supervisor(), watch, cancelled=self._cancelled)
        on_status("executing post-start")
        if "post-start" in later:
            self.run_scripts("post-start")

    def stop(self, request: StopRequest, on_status: OnStatus) -> None:
        later = frozenset({"post-stop"})
        if request.skip_drain:
            on_status("skipped pre-stop & drain")
        else:
            on_status("executing pre-stop")
            later = self._scripts("pre-stop", "lifecycle", ["pre-stop", *next_states(request)])
            on_status("executing drain")
            if "drain" in later:
                self._drain(request)
        on_status("stopping jobs")
        try:
            self._run(
                commands.supervised("monit", "stop"),
                doing="stopping",
                hold_input=True,
                timeout_s=_STOP_S,
            )
        except TookTooLong:
            on_status("jobs are still stopping after 5 minutes; going on")
            _log.warning("%s: jobs did not stop within %g s", self.name, _STOP_S)
        on_status("executing post-stop")
        if "post-stop" in later:
            self.run_scripts("post-stop")

    def _drain(self, request: StopRequest) -> None:
        new = request.drain == "update" and not self._inventory().spec_digest
        self._scripts("drain", "drain", drain_arguments(request, new=new))

    def run_scripts(self, script: str) -> None:
        self._scripts(script, "lifecycle", [commands.check_name("script", script)])

    def _scripts(self, script: str, runner: str, arguments: Sequence[str]) -> frozenset[str]:
        """Run a script of all jobs; returns which later ones of a start or stop any job has."""
        outcome = self._run(
            commands.supervised(runner, *arguments),
            doing=f"executing {script}",
            hold_input=True,
        )
        raise_failed(script, read_results(outcome.text))
        return read_later(outcome.text)

    # -- disks -----------------------------------------------------------------------------------

    def mount_disk(self, device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        self._disk("mount", device, filesystem, options)

    def unmount_disk(self) -> None:
        command = commands.script("disk", "unmount")
        self._once_booted(command, doing="unmounting the persistent disk")

    def migrate_disk(self, new_device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        self._disk("migrate", new_device, filesystem, options)

    def grow_disk(self) -> None:
        self._once_booted(
            commands.supervised("disk", "grow"),
            doing="letting the persistent disk's file system grow",
            hold_input=True,
        )

    def _disk(self, verb: str, device: str, filesystem: str, options: str) -> None:
        arguments = commands.disk_arguments(device, filesystem, options)
        self._once_booted(
            commands.supervised("disk", verb, *arguments),
            doing="mounting the persistent disk" if verb == "mount" else "copying the disk",
            hold_input=True,
        )

    # -- compiling -------------------------------------------------------------------------------

    def compile_package(
        self,
        *,
        name: str,
        version: str,
        source: BinaryIO,
        dependencies: tuple[InstalledPackage, ...],
        output: BinaryIO,
    ) -> None:
        commands.check_name("package", name)
        missing = package_parts(dependencies) - self._inventory().have
        self._send("compile", Parcel(packages=dependencies, missing=missing, source=source))
        outcome = self._run(
            commands.supervised("compile", name, commands.check_digest(version)),
            doing=f"compiling '{name}'",
            hold_input=True,
            sink=bound_output(output, f"the compiled package '{name}'"),
            accept=range(256),
        )
        if outcome.exit_code != 0:
            raise MachineError(
                f"packaging of '{name}' failed with exit code {outcome.exit_code}:\n"
                f"{outcome.complaint}",
                fix=f"correct packages/{name}/packaging or what it needs, and upload the release",
            )

    # -- what operators ask for ------------------------------------------------------------------

    def run_errand(self, job: str) -> ScriptResult:
        outcome = self._run(
            commands.supervised("errand", commands.check_name("errand", job)),
            doing=f"running errand '{job}'",
            hold_input=True,
            accept=range(256),
            keep_cancelled=True,
        )
        return _result(outcome)

    def run_command(self, command: str, *, timeout_s: float = 60) -> ScriptResult:
        outcome = self._run(
            commands.supervised_shell(command),
            doing="running a command",
            hold_input=True,
            accept=range(256),
            timeout_s=timeout_s,
        )
        return _result(outcome)

    def fetch_logs(
        self, filters: tuple[str, ...], output: BinaryIO, *, kinds: tuple[str, ...] = ("job",)
    ) -> None:
        base = log_base(kinds)
        directories = [d for kind in kinds for d in LOG_DIRECTORIES[kind]]
        listed = self._run(commands.script("logs", "list", *directories), doing="listing logs")
        chosen = choose_logs(listed.stdout, base, filters)
        self._run(
            commands.script("logs", "pack", base),
            doing="fetching logs",
            feed=lambda sink: _write_all(sink, chosen),
            sink=bound_output(output, "the logs"),
        )

    def add_ssh_user(self, user: str, public_key: str) -> None:
        key = commands.check_public_key(public_key)
        self._run(
            commands.script("users", "add", commands.check_user(user)),
            doing=f"making user '{user}'",
            feed=lambda sink: _write_all(sink, f"{key}\n".encode()),
        )

    def remove_ssh_users(self, pattern: str) -> None:
        commands.users_matching(pattern, [])
        listed = self._run(commands.script("users", "list"), doing="listing temporary users")
        users = commands.users_matching(pattern, listed.text.split())
        if users:
            self._run(commands.script("users", "remove", *users), doing="removing users")

    # -- the connection --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Where the machine is, as errors name it."""
        return self._connection.name

    def close(self) -> None:
        self._connection.close()


def _result(outcome: Outcome) -> ScriptResult:
    return ScriptResult(
        exit_code=outcome.exit_code,
        stdout=outcome.text,
        stderr=outcome.stderr.decode(errors="replace"),
    )


def _write_all(sink: Sink, data: bytes) -> None:
    for begin in range(0, len(data), 1 << 16):
        sink.write(data[begin : begin + (1 << 16)])

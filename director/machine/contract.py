"""What the director asks of one virtual machine; SSH is one way to ask, a fake another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from director.model.amounts import WatchTime
from director.model.rendered import RenderedJob

OnStatus = Callable[[str], None]
"""Told what the machine does now, in BOSH's words: ``executing pre-start``, ``starting jobs``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """A compiled package a machine shall have; ``digest`` (sha256 of the tarball) identifies it.

    ``open`` yields the gzipped tarball.
    """

    name: str
    digest: str
    open: Callable[[], BinaryIO] = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything installed on a machine, old things not in it are removed.

    ``instance`` holds the values of the files in ``/var/vcap/instance``: id, name, az, deployment,
    index. ``spec_digest`` is written last: a machine that shows it has everything.
    """

    jobs: tuple[RenderedJob, ...]
    packages: tuple[InstalledPackage, ...]
    instance: Mapping[str, str]
    spec_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """How to take the jobs down. ``*_next`` are the ``BOSH_*_NEXT_STATE`` values: keep or delete.

    ``drain`` is ``update`` or ``shutdown``; ``changed_packages`` and ``changed_jobs`` are names;
    ``persistent_disk_mb`` and its ``_next`` go into ``BOSH_JOB_STATE`` and ``BOSH_JOB_NEXT_STATE``.
    """

    skip_drain: bool = False
    drain: str = "update"
    vm_next: str = "keep"
    instance_next: str = "keep"
    deployment_next: str = "keep"
    changed_jobs: frozenset[str] = frozenset()
    changed_packages: frozenset[str] = frozenset()
    persistent_disk_mb: int = 0
    persistent_disk_next_mb: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One supervised process, as monit sees it."""

    name: str
    state: str
    uptime_s: int | None = None
    memory_kb: int | None = None
    memory_percent: float | None = None
    cpu_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineState:
    """What a machine says of itself.

    ``job_state`` is running, starting, failing or stopped; ``packages`` and ``jobs`` map names to
    installed digests; ``vitals`` has the shape of the HTTP API (``instances --vitals``), or is
    empty where it was not asked for. ``disk`` says where the mounted persistent disk is, in the
    words ``mount_disk`` was told.
    """

    spec_digest: str = ""
    job_state: str = "stopped"
    processes: tuple[Process, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, str] = field(default_factory=dict)
    disk: str | None = None
    vitals: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptResult:
    """How a command on a machine ended; output is cut at 1 MB each, keeping the end."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


class Machine(Protocol):
    """One VM. Every method may be called again; all raise MachineUnreachable or MachineError."""

    def state(self, *, vitals: bool = False) -> MachineState: ...

    def prepare(self, bundle: Bundle, on_status: OnStatus) -> None:
        """Bring what is missing of ``bundle`` to the machine, without touching what runs."""
        ...

    def apply(self, bundle: Bundle, on_status: OnStatus) -> None:
        """Make the machine have exactly ``bundle``: directories, links, modes, owners, monit files.

        Calls for what :meth:`prepare` would bring, if it was not brought. Starts nothing. At most
        three round trips, whatever the number of jobs and packages.
        """
        ...

    def start(self, watch: WatchTime, on_status: OnStatus) -> None:
        """Run pre-start of all jobs, start them, watch them within ``watch``, run post-start.

        Raises InstanceNotRunning naming the processes that do not run, MachineError for a script
        that failed ("1 of 2 pre-start scripts failed. Failed Jobs: ... Successful Jobs: ...").
        """
        ...

    def stop(self, request: StopRequest, on_status: OnStatus) -> None:
        """Run pre-stop and drain, stop the jobs (5 minutes at most), run post-stop."""
        ...

    def run_scripts(self, script: str) -> None:
        """Run one lifecycle script (``post-deploy``) of every job that has it, side by side."""
        ...

    def mount_disk(self, device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        """Mount the persistent disk at ``/var/vcap/store``, formatting it if it is blank, now and
        after every reboot. ``device`` is what ``attach_disk`` returned: where a block device is, or
        a directory to be bind-mounted, perhaps one of several paths and with stars."""
        ...

    def unmount_disk(self) -> None:
        """Unmount ``/var/vcap/store``, if it is mounted; it is not mounted at reboot either."""
        ...

    def migrate_disk(self, new_device: str, *, filesystem: str = "ext4", options: str = "") -> None:
        """Copy the mounted persistent disk to ``new_device`` and mount that one instead."""
        ...

    def grow_disk(self) -> None:
        """Let the file system of the mounted persistent disk fill a disk that became larger."""
        ...

    def compile_package(
        self,
        *,
        name: str,
        version: str,
        source: BinaryIO,
        dependencies: tuple[InstalledPackage, ...],
        output: BinaryIO,
    ) -> None:
        """Compile a package and write the gzipped tarball of what it installed to ``output``.

        Raises MachineError with the last lines of the packaging script's output.
        """
        ...

    def run_errand(self, job: str) -> ScriptResult: ...

    def run_command(self, command: str, *, timeout_s: float = 60) -> ScriptResult: ...

    def fetch_logs(
        self, filters: tuple[str, ...], output: BinaryIO, *, kinds: tuple[str, ...] = ("job",)
    ) -> None:
        """Write a gzipped tarball of ``/var/vcap/sys/log`` (files matching ``filters``, if any).

        ``kinds`` are of job, agent (monit's and the director's own) and system (``/var/log``).
        """
        ...

    def add_ssh_user(self, user: str, public_key: str) -> None:
        """Make a temporary user with sudo who may log in with ``public_key``."""
        ...

    def remove_ssh_users(self, pattern: str) -> None:
        """Remove every temporary user whose name matches the regular expression ``pattern``."""
        ...

    def close(self) -> None:
        """Close the connection; the next call opens one again."""
        ...

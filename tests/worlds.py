"""A director's whole world with a cloud and machines in memory; the store and the blobs are real.

``memory_world`` holds a little release, a stemcell and a cloud config, ready for any operation.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import logging
import os
import socket
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cpis.memory import MemoryCpi
from director.app import make_world
from director.execute.run import TaskRun
from director.execute.world import World
from director.home import open_home
from director.machine.contract import OnStatus, StopRequest
from director.machine.memory_machine import MemoryMachine
from director.model.amounts import WatchTime
from director.model.errors import CpiError
from director.model.events import AuditEvent, Progress
from director.model.ids import BlobId, InstanceId, StemcellCid
from director.model.instances import RecordedInstance, RecordedVm
from director.model.release import Job, Package, Release
from director.model.stemcell import Stemcell
from director.model.tasks import Task, TaskState
from director.settings import Settings
from director.store.store import open_store
from director.tasks.worker import make_run

CLOUD = """
azs: [{name: z1}]
vm_types: [{name: small}]
networks:
- name: default
  subnets: [{range: 10.0.0.0/24, gateway: 10.0.0.1, az: z1}]
compilation: {workers: 2, network: default, az: z1, vm_type: small, reuse_compilation_vms: true}
"""

_MANIFEST = """
name: d
releases: [{name: r, version: 1}]
stemcells: [{alias: s, os: os, version: latest}]
update: {canaries: 1, max_in_flight: 2, canary_watch_time: 1, update_watch_time: 1}
instance_groups:
- name: db
  azs: [z1]
  instances: %(instances)d
  vm_type: small
  stemcell: s
  env: {generation: %(env)d}
  persistent_disk: %(disk)d
  networks: [{name: default}]
  jobs: [{name: j, release: r}]
"""

GONE_OWNER = f"{socket.gethostname()}:999999:1:token"
"""A process that does not exist, so that the locks of its tasks are free."""


def manifest(*, instances: int = 2, env: int = 1, disk: int = 10) -> str:
    """Return the manifest of deployment ``d``: one group, ``db``, of job ``j``."""
    return _MANIFEST % {"instances": instances, "env": env, "disk": disk}


# -- a task that only listens ----------------------------------------------------------------------


@dataclass
class Heard:
    """What an operation reported."""

    progress: list[Progress] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    audited: list[AuditEvent] = field(default_factory=list)

    def run(self, **args: Any) -> TaskRun:
        """Return a task with these arguments that reports here, and to no store."""
        state = TaskState.PROCESSING
        return TaskRun(
            task=Task(id=1, type="t", state=state, description="", args=args, owner="o"),
            emit=self.progress.append,
            warn=self.warnings.append,
            write_result=self.written.append,
            audit=self.audited.append,
            cancelled=lambda: False,
            log=logging.getLogger("test"),
        )


# -- the world -------------------------------------------------------------------------------------


class WatchedMachine(MemoryMachine):
    """A machine in memory that keeps how it was asked to stop, and how long to watch a start."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: list[StopRequest] = []
        self.watches: list[WatchTime] = []

    def start(self, watch: WatchTime, on_status: OnStatus) -> None:
        self.watches.append(watch)
        super().start(watch, on_status)

    def stop(self, request: StopRequest, on_status: OnStatus) -> None:
        self.stops.append(request)
        super().stop(request, on_status)


@dataclass
class MemoryWorld:
    """The world and what stands behind it. ``silent`` holds agent ids of VMs that do not answer.

    ``cpi`` is the default cloud; :meth:`cloud` makes others, of the CPI config, when they are used.
    """

    world: World
    database: Path
    cpi: MemoryCpi
    machines: dict[str, WatchedMachine] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    others: dict[str, MemoryCpi] = field(default_factory=dict)

    def cloud(self, name: str) -> MemoryCpi:
        """Return the cloud of a CPI; one whose CPI was renamed is the same cloud."""
        config = self.world.cpi_config()
        entry = config.entries.get(config.current(name))
        if entry is None and name:
            raise CpiError(f"there is no CPI '{name}'")
        first = "" if entry is None else entry.first_name
        if not first:
            return self.cpi
        return self.others.setdefault(first, MemoryCpi({"prefix": f"{first}-"}))

    def run(self, operation: Callable[[World, TaskRun], str], **args: Any) -> str:
        """Run an operation on deployment ``d`` as a task; see :meth:`said` for what it said."""
        return run_task(self.world, operation, **args)

    def said(self, task_id: int | None = None) -> list[dict[str, Any]]:
        """Return a task's event lines, those of the last one if none is named."""
        if task_id is None:
            task_id = max(task.id for task in self.world.store.tasks.list())
        text = self.world.store.outputs.read(task_id, "event").decode()
        return [json.loads(line) for line in text.splitlines()]

    def instances(self) -> list[RecordedInstance]:
        return sorted(self.world.store.instances.list("d"), key=lambda i: i.index)

    def recorded(self, id: InstanceId) -> RecordedInstance:
        found = self.world.store.instances.get(id)
        assert found is not None
        return found

    def machine_of(self, instance: RecordedInstance) -> WatchedMachine:
        assert instance.vm is not None
        return self.machines[instance.vm.agent_id]

    def connect(self, vm: RecordedVm, _cancelled: Callable[[], bool]) -> WatchedMachine:
        return self.machines.setdefault(vm.agent_id, WatchedMachine())

    def probe(self, vm: RecordedVm) -> str | None:
        there = vm.cid is not None and self.cloud(vm.cpi).is_running(vm.cid)
        return None if there and vm.agent_id not in self.silent else "port 22 is closed"


@contextmanager
def memory_world(
    directory: Path, *, cloud: str = CLOUD, now: Callable[[], float] = time.time
) -> Iterator[MemoryWorld]:
    """Yield a world whose home is in ``directory``; it has stemcell ``s`` and release ``r``."""
    home = open_home(directory / "home")
    numbers = itertools.count(1)
    with ExitStack() as stack:
        store = open_store(f"sqlite:///{home.database}", home.tasks)
        stack.callback(store.close)
        settings = Settings(cpi="memory", boot_timeout_s=0)
        made = make_world(home, settings, store, directory, stack)
        lab = MemoryWorld(made, home.database, MemoryCpi({}))
        lab.world = replace(
            made,
            cpi=lab.cloud,
            connect=lab.connect,
            probe=lab.probe,
            now=now,
            new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
        )
        cid = StemcellCid(lab.cpi.create_stemcell("image", {}))
        store.stemcells.add(Stemcell(name="s", version="1", operating_system="os", cid=cid))
        store.configs.create("cloud", "default", cloud)
        store.releases.add(little_release(made))
        yield lab


def little_release(
    world: World, version: str = "1", *, packaging: str = "exit 0\n", **files: str
) -> Release:
    """Return release ``r`` of one job and two packages, its tarballs in the blobs.

    ``files`` become the job's: ``bin__drain`` stands for the template ``bin/drain``.
    """
    templates = {f"{name}.erb": name.replace("__", "/").replace("_", "-") for name in files}
    spec = json.dumps({"name": "j", "templates": templates})
    sources = {f"templates/{name}.erb": text for name, text in files.items()}
    job = tarball(world, {"job.MF": spec, "monit": "", **sources})
    source = tarball(world, {"packaging": packaging})
    return Release(
        name="r",
        version=version,
        jobs={
            "j": Job(
                name="j",
                fingerprint=f"j{version}",
                packages=("a", "b"),
                blob=job,
                templates=templates,
            )
        },
        packages={
            "a": Package(name="a", fingerprint=f"a{version}", blob=source),
            "b": Package(name="b", fingerprint=f"b{version}", dependencies=("a",), blob=source),
        },
    )


def tarball(world: World, files: dict[str, str]) -> BlobId:
    """Keep a tarball of these files and return its blob."""
    return world.blobs.put(io.BytesIO(_pack(files)))


def _pack(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


def stemcell_tarball(
    directory: Path,
    version: str = "1",
    format: str = "director-rootfs",
    *,
    image: str = "image",
    more: str = "",
) -> Path:
    """Write a stemcell whose image is good enough for a cloud in memory."""
    path = directory / f"stemcell-{version}.tgz"
    text = (
        f"name: little\nversion: '{version}'\noperating_system: debian-12\n"
        f"stemcell_formats: [{format}]\n{more}"
    )
    path.write_bytes(_pack({"stemcell.MF": text, "image": image}))
    return path


def run_task(world: World, operation: Callable[[World, TaskRun], str], **args: Any) -> str:
    """Run an operation on deployment ``d`` as a task of a process that does not exist."""
    task = world.store.tasks.create(
        type="t", description="t", owner=GONE_OWNER, now=world.now(), deployment="d", args=args
    )
    claimed = world.store.tasks.claim(GONE_OWNER, world.now())
    assert claimed is not None
    result = operation(world, make_run(task, world))
    world.store.tasks.finish(task.id, TaskState.DONE, result, world.now())
    return result


# -- going back ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Snapshot:
    """All that a world holds at one moment, but for blobs and what tasks said."""

    database: sqlite3.Connection
    cpi: MemoryCpi
    machines: dict[str, WatchedMachine]


@contextmanager
def snapshot(lab: MemoryWorld) -> Iterator[Snapshot]:
    """Yield the world's state, to be put back with :func:`restore` any number of times."""
    with closing(sqlite3.connect(":memory:")) as kept:
        with closing(sqlite3.connect(lab.database)) as database:
            database.backup(kept)
        yield Snapshot(kept, _copy(lab.cpi), copy.deepcopy(lab.machines))


def restore(lab: MemoryWorld, saved: Snapshot) -> None:
    """Put the world back to where the snapshot was taken."""
    with closing(sqlite3.connect(lab.database)) as database:
        saved.database.backup(database)
    lab.cpi = _copy(saved.cpi)
    lab.machines.clear()
    lab.machines.update(copy.deepcopy(saved.machines))


def _copy(cpi: MemoryCpi) -> MemoryCpi:
    """Return another cloud of the same contents: rows are never changed, only replaced."""
    made = MemoryCpi({})
    for table, rows in cpi._cloud.rows.items():
        for cid, row in rows.items():
            made._cloud.put(table, cid, row)
    return made


@contextmanager
def fast_directory() -> Iterator[Path]:
    """Yield a directory that goes afterwards: in memory, where the host has a place for that."""
    shm = Path("/dev/shm")
    place = shm if shm.is_dir() and os.access(shm, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="director-test-", dir=place) as made:
        yield Path(made)

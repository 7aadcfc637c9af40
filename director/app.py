"""The only place where parts are put together: a director in this process."""

from __future__ import annotations

import functools
import logging
import os
import pwd
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from director import __version__
from director.api.app import make_api
from director.api.server import serving
from director.blobs.directory import DirectoryBlobs
from director.clouds import Clouds
from director.execute.world import World
from director.home import Home, keep_key, open_home, place_of, socket_path
from director.model.instances import RecordedVm
from director.settings import Settings, read_settings
from director.store.owner import this_process
from director.store.sealing import Sealing
from director.store.store import Store, open_store
from director.tasks.local_queue import LocalQueue
from director.tasks.log import ContextPool, SafeFormatter, TaskLog
from director.ways import SshWays

if TYPE_CHECKING:
    from cpis.contract import Cpi
    from director.machine.contract import Machine
    from director.machine.host_keys import HostKey
    from director.render.renderer import Renderer
    from director.variables.credentials import Credentials, VariableRows

T = TypeVar("T")


@contextmanager
def embedded(home: Path, settings: Settings | None = None) -> Iterator[Path]:
    """Run a director in this process; yields the path of its socket.

    Several processes may run one in the same ``home``. At the end it waits for its tasks, unless
    the block was left by a KeyboardInterrupt: then they are only asked to stop, and the next
    director ends them. Raises DirectorError if the home directory or the settings are unusable.
    """
    place = open_home(home)
    settings = settings or read_settings(place.root)
    owner = this_process(uuid.uuid4().hex)
    with ExitStack() as stack:
        store = open_store(f"sqlite:///{place.database}", place.tasks, sealing=sealing_of(place))
        stack.callback(store.close)
        stack.enter_context(_logging(place, store))
        work, listener = stack.enter_context(place_of(place, owner))
        world = make_world(place, settings, store, work, stack)
        queue = LocalQueue(world, owner=owner, workers=settings.workers)
        queue.recover()
        app = make_api(world, queue, user=_user(), cpi=settings.cpi, version=__version__)
        path = socket_path(place, listener)
        with serving(app, listener):
            wait = True
            try:
                yield path
            except (KeyboardInterrupt, GeneratorExit):
                wait = False
                raise
            finally:
                queue.close(timeout_s=None if wait else 0, cancel=not wait)


def sealing_of(home: Home) -> Sealing:
    """Return what keeps the operator's texts unreadable in the database of ``home``."""
    key = keep_key(home, "variables")

    def seal(text: str) -> str:
        from director.variables.seal import seal_text

        return seal_text(text, key=key)

    def unseal(text: str) -> str:
        from director.variables.seal import unseal_text

        return unseal_text(text, key=key)

    return Sealing(seal, unseal)


def make_world(
    home: Home, settings: Settings, store: Store, work_dir: Path, stack: ExitStack
) -> World:
    """Return the ports to the world; what is slow to import or start is made at first use.

    What must be closed is left to ``stack``.
    """
    director_uuid = store.attributes.ensure("uuid", str(uuid.uuid4()))

    def credentials(rows: VariableRows) -> Credentials:
        from director.variables.credentials import Credentials

        key = keep_key(home, "variables")
        return Credentials(rows, key, settings.name, time.time, _new_id)

    def dry_credentials() -> Credentials:
        from director.variables.credentials import DryRows

        return credentials(DryRows(store.variables))

    kept_credentials = _once(lambda: credentials(store.variables))
    clouds = Clouds(home, settings, director_uuid, store, kept_credentials)
    ssh = SshWays(home, settings.reach)
    connect, probe = _ways_to_machines(clouds, ssh)

    def renderer() -> Renderer:
        from director.render.renderer import Renderer

        made = Renderer()
        stack.callback(made.close)
        return made

    return World(
        director_uuid=director_uuid,
        name=settings.name,
        store=store,
        blobs=DirectoryBlobs(home.blobs),
        cpi=clouds.cpi,
        cpi_config=clouds.config,
        cpi_types=_cpi_types,
        connect=connect,
        probe=probe,
        renderer=_once(renderer),
        credentials=kept_credentials,
        dry_credentials=dry_credentials,
        new_host_key=_new_host_key,
        login_public_key=ssh.login_public_key(),
        host_key_of=ssh.host_key,
        vm_password=ssh.password,
        reach=settings.reach,
        resize_disks=settings.resize_disks,
        update_disks=settings.update_disks,
        digest_key=keep_key(home, "digests"),
        now=time.time,
        new_id=_new_id,
        work_dir=work_dir,
        new_pool=lambda width: ContextPool(max(1, min(width, settings.max_threads))),
        max_threads=settings.max_threads,
        boot_timeout_s=settings.boot_timeout_s,
    )


def _cpi_types() -> tuple[str, ...]:
    from cpis.registry import known_cpis

    return known_cpis()


def _ways_to_machines(
    clouds: Clouds, ssh: SshWays
) -> tuple[Callable[[RecordedVm, Callable[[], bool]], Machine], Callable[[RecordedVm], str | None]]:
    """Return how to connect to a VM and how to see whether it answers."""
    connect_memory, probe_memory = _memory_machines(clouds.cpi)

    def connect(vm: RecordedVm, cancelled: Callable[[], bool]) -> Machine:
        way = connect_memory if clouds.is_memory(vm.cpi) else ssh.connect
        return way(vm, cancelled)

    def probe(vm: RecordedVm) -> str | None:
        way = probe_memory if clouds.is_memory(vm.cpi) else ssh.probe
        return way(vm)

    return connect, probe


def _memory_machines(
    cpi: Callable[[str], Cpi],
) -> tuple[Callable[[RecordedVm, Callable[[], bool]], Machine], Callable[[RecordedVm], str | None]]:
    machines: dict[str, Any] = {}

    def connect(vm: RecordedVm, cancelled: Callable[[], bool]) -> Machine:
        from director.machine.memory_machine import MemoryMachine

        machine: MemoryMachine = machines.setdefault(vm.agent_id, MemoryMachine())
        machine.cancelled = cancelled
        return machine

    def probe(vm: RecordedVm) -> str | None:
        return None if vm.cid is not None and cpi(vm.cpi).has_vm(vm.cid) else "the VM is gone"

    return connect, probe


def _new_host_key() -> HostKey:
    from director.machine.host_keys import new_host_key

    return new_host_key()


def _new_id() -> str:
    return str(uuid.uuid4())


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _once(make: Callable[[], T]) -> Callable[[], T]:
    """Return ``make`` called at first use only, by whichever thread comes first."""
    turn, made = threading.Lock(), functools.cache(make)

    def get() -> T:
        with turn:
            return made()

    return get


class _PrivateLog(logging.FileHandler):
    """A log file for its owner only, made when there is something to write."""

    def _open(self) -> Any:
        descriptor = os.open(
            self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        return os.fdopen(descriptor, "a", encoding="utf-8")


@contextmanager
def _logging(home: Home, store: Store) -> Iterator[None]:
    """Send what tasks log to their debug outputs, and warnings of all kinds to the log file."""
    file = _PrivateLog(home.log, delay=True)
    file.setLevel(logging.WARNING)
    file.setFormatter(SafeFormatter())
    handlers = (file, TaskLog(store.outputs))
    ours = [logging.getLogger(name) for name in ("director", "cpis")]
    levels = [logger.level for logger in ours]
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    for logger in ours:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for logger, level in zip(ours, levels, strict=True):
            logger.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()

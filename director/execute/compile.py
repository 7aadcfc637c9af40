"""Compile packages on machines of their own: in dependency order, in parallel, each only once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.vms import create_vm, delete_vm
from director.execute.world import World
from director.machine.contract import InstalledPackage, Machine
from director.model.errors import CompileError, MachineError
from director.model.instances import NetworkSpec, RecordedVm
from director.model.manifest import Json
from director.model.records import AddressRecord
from director.model.release import CompiledPackage, Release, dependency_key
from director.model.stemcell import Stemcell
from director.plan.steps import CompilePackage

PackageLock = Callable[[CompilePackage], AbstractContextManager[object]]
"""Held while one package is compiled, so that two deployments share the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationSite:
    """Where packages are compiled; ``slots`` holds one place on the network per worker.

    ``stemcells`` has, for each stemcell packages are compiled for, the copy on the site's own CPI.
    """

    slots: tuple[tuple[NetworkSpec, ...], ...]
    stemcells: Mapping[Stemcell, Stemcell]
    cloud_properties: Json
    env: Json = field(repr=False)
    reuse: bool = False


def installed_package(
    world: World, release: Release, name: str, stemcell_os: str, stemcell_version: str
) -> InstalledPackage:
    """Return a compiled package in the form a machine installs; raises CompileError if it is not
    compiled yet."""
    package = release.packages[name]
    compiled = world.store.releases.compiled(
        name,
        package.fingerprint,
        stemcell_os,
        stemcell_version,
        dependency_key(release, name),
    )
    if compiled is None:
        raise CompileError(
            f"package '{name}' of release '{release.name}/{release.version}' is not compiled for "
            f"'{stemcell_os}/{stemcell_version}'",
            fix="deploy again; it is compiled then",
        )
    blob = compiled.blob
    return InstalledPackage(name=name, digest=blob, open=lambda: world.blobs.open(blob))


class _Order:
    """Hands out packages whose dependencies are done; threads wait here for the rest."""

    def __init__(self, steps: Sequence[CompilePackage]) -> None:
        self._waiting = list(steps)
        self._unfinished = {_key(step) for step in steps}
        self._changed = threading.Condition()
        self.failed = False

    def take(self) -> CompilePackage | None:
        """Return a package that can be compiled now, or None when nothing is left to begin."""
        with self._changed:
            while not self.failed and self._waiting:
                for step in self._waiting:
                    if not self._blocked(step):
                        self._waiting.remove(step)
                        return step
                self._changed.wait(0.5)
            return None

    def done(self, step: CompilePackage, *, failed: bool) -> None:
        with self._changed:
            self._unfinished.discard(_key(step))
            self.failed = self.failed or failed
            self._changed.notify_all()

    def _blocked(self, step: CompilePackage) -> bool:
        stemcell = (step.stemcell.operating_system, step.stemcell.version)
        return any(
            (step.release.packages[name].fingerprint, name, *stemcell) in self._unfinished
            for name in step.release.closure(step.package.name)
        )


def _key(step: CompilePackage) -> tuple[str, str, str, str]:
    return (
        step.package.fingerprint,
        step.package.name,
        step.stemcell.operating_system,
        step.stemcell.version,
    )


def compile_packages(
    world: World,
    run: TaskRun,
    *,
    deployment: str,
    steps: Sequence[CompilePackage],
    site: CompilationSite,
    package_lock: PackageLock,
    checkpoint: Callable[[], None],
) -> None:
    """Compile ``steps``, as many at once as the site has slots; afterwards all are in the store.

    Raises CompileError with the packaging script's last lines. The
    machines are gone afterwards, whatever happened.
    """
    if not steps:
        return
    order = _Order(steps)
    stage = run.stage("Compiling packages", total=len(steps))

    def work(slot: tuple[NetworkSpec, ...]) -> None:
        with _worker(world, run, deployment, site, slot) as machine_for:
            while (step := order.take()) is not None:
                failed = True
                try:
                    checkpoint()
                    with stage.track(step.name), package_lock(step):
                        _compile(world, step, machine_for)
                    failed = False
                finally:
                    order.done(step, failed=failed)

    slots = site.slots[: len(steps)]
    run_parallel(world.new_pool, slots, work, width=len(slots))


@contextmanager
def _worker(
    world: World,
    run: TaskRun,
    deployment: str,
    site: CompilationSite,
    slot: tuple[NetworkSpec, ...],
) -> Iterator[Callable[[Stemcell], Machine]]:
    """Yield what gives this worker's machine for a stemcell, made when it is first needed."""
    current: list[tuple[Stemcell, RecordedVm, Machine]] = []

    def drop() -> None:
        if current:
            _, vm, machine = current.pop()
            machine.close()
            delete_vm(world, run, vm)

    def machine_for(wanted: Stemcell) -> Machine:
        stemcell = site.stemcells[wanted]
        if current and not (site.reuse and current[0][0] == stemcell):
            drop()
        if not current:
            vm = _create_worker(world, run, deployment, site, slot, stemcell)
            current.append((stemcell, vm, world.connect(vm, run.cancelled)))
        return current[0][2]

    try:
        yield machine_for
    finally:
        drop()


def _create_worker(
    world: World,
    run: TaskRun,
    deployment: str,
    site: CompilationSite,
    slot: tuple[NetworkSpec, ...],
    stemcell: Stemcell,
) -> RecordedVm:
    return create_vm(
        world,
        run,
        deployment=deployment,
        stemcell=stemcell,
        cloud_properties=site.cloud_properties,
        networks=slot,
        env=site.env,
        tags={"director": world.name, "deployment": deployment, "compiling": "true"},
    )


def _compile(
    world: World, step: CompilePackage, machine_for: Callable[[Stemcell], Machine]
) -> None:
    os, version = step.stemcell.operating_system, step.stemcell.version
    known = world.store.releases.compiled(
        step.package.name, step.package.fingerprint, os, version, step.dependency_key
    )
    if known is not None:
        return
    if step.package.blob is None:
        raise CompileError(
            f"package '{step.name}' of release '{step.release.name}/{step.release.version}' has "
            "no source in the director",
            fix="upload the release again with --fix",
        )
    dependencies = tuple(
        installed_package(world, step.release, name, os, version)
        for name in step.release.closure(step.package.name)
    )
    with tempfile.TemporaryFile(dir=world.work_dir) as output:
        with world.blobs.open(step.package.blob) as source:
            try:
                machine_for(step.stemcell).compile_package(
                    name=step.package.name,
                    version=step.package.fingerprint,
                    source=source,
                    dependencies=dependencies,
                    output=output,
                )
            except MachineError as error:
                raise CompileError(
                    f"package '{step.name}' of release '{step.release.name}/"
                    f"{step.release.version}' did not compile for '{step.stemcell}': {error.what}",
                    fix="correct the package's packaging script and upload a new release version",
                ) from error
        output.seek(0)
        blob = world.blobs.put(output)
    world.store.releases.add_compiled(
        CompiledPackage(
            name=step.package.name,
            fingerprint=step.package.fingerprint,
            stemcell_os=os,
            stemcell_version=version,
            dependency_key=step.dependency_key,
            blob=blob,
            digest=f"sha256:{blob}",
        )
    )


@contextmanager
def reserved_slots(
    world: World, deployment: str, slots: Sequence[Sequence[NetworkSpec]]
) -> Iterator[None]:
    """Hold the compilation workers' addresses; raises NetworkError if one was taken meanwhile."""
    owner = compilation_owner(deployment)
    world.store.addresses.reserve(
        [
            AddressRecord(network=network.name, ip=network.ip, deployment=deployment, owner=owner)
            for slot in slots
            for network in slot
            if network.ip is not None
        ]
    )
    try:
        yield
    finally:
        world.store.addresses.release(owner=owner)


def compilation_owner(deployment: str) -> str:
    """Return the owner under which a deployment's compilation workers hold addresses."""
    return f"compilation of {deployment}"

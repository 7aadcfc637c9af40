"""What one run of a plan knows and shares between its steps."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from director.execute.compile import CompilationSite, PackageLock, installed_package
from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.contract import Bundle
from director.model.errors import LockLost
from director.model.ids import InstanceId
from director.model.instances import InstanceSpec, RecordedInstance
from director.model.manifest import Json, UpdatePolicy
from director.model.rendered import RenderedJob
from director.model.resolved import ResolvedDeployment

Rendering = Mapping[InstanceId, tuple[RenderedJob, ...]]
Rerender = Callable[[Mapping[InstanceId, InstanceSpec]], tuple[list[InstanceSpec], Rendering]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The arguments of a run, and the specs as they become complete while it goes on.

    ``specs`` and ``rendered`` are replaced as a whole when the cloud has picked the addresses of
    dynamic networks (:meth:`addresses_known`). ``fill`` puts variable values into cloud properties
    and env. ``held`` tells whether the deployment's lock is still ours.
    """

    world: World
    run: TaskRun
    resolved: ResolvedDeployment
    site: CompilationSite | None
    package_lock: PackageLock
    fill: Callable[[Json], dict[str, Any]]
    rerender: Rerender
    skip_drain: Callable[[RecordedInstance], bool]
    held: Callable[[], bool]
    specs: dict[InstanceId, InstanceSpec]
    rendered: dict[InstanceId, tuple[RenderedJob, ...]] = field(repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def deployment(self) -> str:
        return self.resolved.name

    def checkpoint(self) -> None:
        """Raise TaskCancelled or LockLost when the run must not begin another step."""
        self.run.checkpoint()
        if not self.held():
            raise LockLost(
                f"the lock of deployment '{self.deployment}' was lost while the task ran",
                fix="deploy again; it goes on from what is there",
            )

    def recorded(self, instance_id: InstanceId) -> RecordedInstance:
        """Return the instance's row as it is now."""
        found = self.world.store.instances.get(instance_id)
        if found is None:
            raise AssertionError(f"instance '{instance_id}' has no row")
        return found

    def policy(self, group: str) -> UpdatePolicy:
        return self.resolved.group(group).update

    def learn_addresses(self, given: Mapping[InstanceId, Mapping[str, str]]) -> None:
        """Take in what addresses the cloud picked, and render again what depends on them."""
        with self.lock:
            changed = {
                id: spec
                for id, addresses in given.items()
                if (spec := self.specs[id].with_addresses(addresses)) != self.specs[id]
            }
            if not changed:
                return
            self.specs.update(changed)
            specs, rendered = self.rerender(self.specs)
            self.specs.update({spec.id: spec for spec in specs})
            self.rendered.update(rendered)

    def bundle(self, spec: InstanceSpec) -> Bundle:
        """Return what the instance's machine shall have installed; raises CompileError when a
        package is not compiled yet."""
        return Bundle(
            jobs=self.rendered.get(spec.id, ()),
            packages=tuple(
                installed_package(
                    self.world,
                    self.resolved.releases[package.release],
                    package.name,
                    spec.stemcell.os,
                    spec.stemcell.version,
                )
                for package in spec.packages
            ),
            instance={
                "id": spec.id,
                "name": spec.group,
                "az": spec.az or "",
                "deployment": spec.deployment,
                "index": str(spec.index),
            },
            spec_digest=spec_digest(spec),
        )


def spec_digest(spec: InstanceSpec) -> str:
    """Return what identifies everything installed for ``spec``."""
    shape = {
        "jobs": [asdict(job) for job in spec.jobs],
        "packages": [asdict(p) for p in spec.packages],
    }
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


def vm_shape(spec: InstanceSpec) -> InstanceSpec:
    """Return ``spec`` as it is true of a VM just made: nothing installed on it yet.

    Recorded right after ``create_vm``, it lets the plan after a crash go on with this VM.
    """
    return replace(spec, jobs=(), packages=())

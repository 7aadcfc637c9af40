"""Instances of deployment ``dep`` that are changed one by one, in a world in memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from builders import group, policy, resolved, spec
from worlds import Heard, MemoryWorld, WatchedMachine, tarball

from director.execute.rollout import Rollout
from director.execute.stage import Stage
from director.execute.update_instance import update_instance
from director.model.amounts import WatchTime
from director.model.instances import (
    ActualInstance,
    Found,
    InstanceSpec,
    PackageRef,
    RecordedInstance,
)
from director.model.release import CompiledPackage, Release, dependency_key
from director.plan.steps import Action, Reason, UpdateInstance, Why

CANARY, OTHERS = WatchTime(1, 2000), WatchTime(1, 3000)
NOTHING_INSTALLED: dict[str, Any] = {"jobs": (), "packages": ()}


@dataclass
class InstanceBench:
    """The world, and what its tasks report."""

    lab: MemoryWorld
    heard: Heard = field(default_factory=Heard)

    def rollout(self, *specs: InstanceSpec, **changes: Any) -> Rollout:
        """Return what a run shares that wants these instances."""
        (stemcell,) = self.lab.world.store.stemcells.list()
        update = policy(canary_watch_time=CANARY, update_watch_time=OTHERS)
        groups = group(stemcell=stemcell, releases=(), update=update)
        wanted = resolved(groups, releases={"r": self.release})
        values: dict[str, Any] = {
            "world": self.lab.world,
            "run": self.heard.run(),
            "resolved": wanted,
            "site": None,
            "package_lock": lambda step: nullcontext(),
            "fill": dict,
            "rerender": lambda specs: (list(specs.values()), {}),
            "skip_drain": lambda instance: False,
            "held": lambda: True,
            "specs": {spec.id: spec for spec in specs},
            "rendered": {},
        }
        return Rollout(**{**values, **changes})

    @property
    def release(self) -> Release:
        (found,) = self.lab.world.store.releases.list()
        return found

    def compiled(self, name: str) -> PackageRef:
        """Let a package of the little release be compiled for the instances' stemcell."""
        package, stemcell = self.release.packages[name], spec().stemcell
        self.lab.world.store.releases.add_compiled(
            CompiledPackage(
                name=name,
                fingerprint=package.fingerprint,
                stemcell_os=stemcell.os,
                stemcell_version=stemcell.version,
                dependency_key=dependency_key(self.release, name),
                blob=tarball(self.lab.world, {"bin/run": name}),
                digest="",
            )
        )
        return PackageRef(name=name, release="r", fingerprint=package.fingerprint)

    def make(self, **changes: Any) -> RecordedInstance:
        """Return an instance that was deployed, and forget how."""
        wanted = spec(**{**NOTHING_INSTALLED, **changes})
        row = RecordedInstance(
            id=wanted.id, deployment="dep", group=wanted.group, index=wanted.index, dirty=True
        )
        self.lab.world.store.instances.save(row)
        self.apply(UpdateInstance(spec=wanted, before=None, action=Action.RECREATE, why=()))
        made = self.lab.recorded(wanted.id)
        self.forget(made)
        return made

    def forget(self, instance: RecordedInstance) -> None:
        if instance.vm is not None:
            machine = self.lab.machine_of(instance)
            machine.calls.clear()
            machine.stops.clear()
            machine.watches.clear()
        self.heard.audited.clear()
        self.lab.cpi._calls.clear()

    def update(
        self,
        instance: RecordedInstance,
        wanted: InstanceSpec,
        *,
        action: Action = Action.UPDATE,
        found: Found = Found.RESPONSIVE,
        skip_drain: bool = False,
        **changes: Any,
    ) -> RecordedInstance:
        """Bring an instance to what is wanted; returns its row after."""
        before = ActualInstance(recorded=instance, found=found)
        why = (Why(reason=Reason.JOBS),)
        step = UpdateInstance(spec=wanted, before=before, action=action, why=why, **changes)
        self.apply(step, skip_drain=lambda _: skip_drain)
        return self.lab.recorded(instance.id)

    def apply(self, step: UpdateInstance, **changes: Any) -> None:
        stage = Stage(self.heard.progress.append, "Updating instance", now=lambda: 1.0)
        with stage.track(step.spec.label) as progress:
            update_instance(self.rollout(step.spec, **changes), step, progress)

    def cloud_calls(self) -> list[str]:
        """What was changed in the cloud, in order."""
        looks = ("has_vm", "get_disks", "find_vm", "find_disk", "info", "console_output")
        return [call.method for call in self.lab.cpi.calls() if call.method not in looks]

    def machine(self, instance: RecordedInstance) -> WatchedMachine:
        return self.lab.machine_of(instance)

"""Bring one instance to what the plan wants of it: stop, replace what must be, install, start.

It is marked dirty before it is touched and clean when it is done, so that after a crash the next
plan does it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from director.execute.disks import release_disk, settle_disk
from director.execute.give_vm import delete_vm_of, give_vm, vm_tags
from director.execute.rollout import Rollout
from director.execute.stage import Step
from director.execute.world import World
from director.machine.contract import Machine, StopRequest
from director.model.errors import DirectorError
from director.model.events import AuditEvent
from director.model.instances import (
    DesiredState,
    Found,
    InstanceSpec,
    RecordedDisk,
    RecordedInstance,
    RecordedVm,
)
from director.plan.steps import Action, UpdateInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Update:
    """One update under way."""

    rollout: Rollout
    step: UpdateInstance
    spec: InstanceSpec
    recorded: RecordedInstance
    progress: Step

    @property
    def world(self) -> World:
        return self.rollout.world

    def machine(self, vm: RecordedVm) -> Machine:
        return self.world.connect(vm, self.rollout.run.cancelled)


def update_instance(rollout: Rollout, step: UpdateInstance, progress: Step) -> None:
    """Bring one instance to what the plan wants of it.

    Raises what went wrong; the instance stays marked dirty then, and its VM as it is, as evidence.
    """
    spec = rollout.specs.get(step.spec.id, step.spec)
    recorded = rollout.recorded(spec.id)
    world = rollout.world
    update = _Update(rollout=rollout, step=step, spec=spec, recorded=recorded, progress=progress)
    if step.action is Action.RECORD:
        if recorded.vm is not None and recorded.vm.cid is not None:
            world.cpi(recorded.vm.cpi).set_vm_metadata(recorded.vm.cid, vm_tags(world, spec))
        _record_done(update)
        return
    world.store.instances.save(replace(recorded, dirty=True))
    try:
        _change(update)
    except DirectorError as error:
        _audit(update, error=error.what)
        raise
    _record_done(update)
    _audit(update)


def _change(update: _Update) -> None:
    """Stop, replace what must be replaced, install, start."""
    vm = _take_down(update)
    if update.step.state == DesiredState.DETACHED:
        if vm is not None:
            _detach_and_delete_vm(update, vm)
        return
    if vm is None:
        update.progress.status("creating VM")
        vm = give_vm(update.rollout, update.spec)
        update.rollout.learn_addresses({update.spec.id: vm.addresses})
    spec = update.rollout.specs.get(update.spec.id, update.spec)
    machine = update.machine(vm)
    try:
        _settle_disk(update, spec, vm, machine)
        machine.apply(update.rollout.bundle(spec), update.progress.status)
        if update.step.state == DesiredState.STARTED:
            policy = update.rollout.policy(spec.group)
            watch = policy.canary_watch_time if update.step.canary else policy.update_watch_time
            machine.start(watch, update.progress.status)
    finally:
        machine.close()


def _take_down(update: _Update) -> RecordedVm | None:
    """Stop what runs; returns the VM that stays, or None when the instance needs a new one."""
    vm, step = update.recorded.vm, update.step
    if vm is None or vm.cid is None:
        return None
    if _made_since(update):
        return vm
    if step.before is not None and step.before.found is not Found.RESPONSIVE:
        _drop_vm(update, vm, None)
        return None
    machine = update.machine(vm)
    try:
        if step.action is Action.UPDATE and step.state != DesiredState.DETACHED:
            machine.prepare(update.rollout.bundle(update.spec), update.progress.status)
        machine.stop(_stop_request(update), update.progress.status)
        if step.action is Action.RECREATE:
            _drop_vm(update, vm, machine)
            return None
    finally:
        machine.close()
    return vm


def _made_since(update: _Update) -> bool:
    """Whether the VM was made in this run (by the plan's ``create``), after the plan looked."""
    before, vm = update.step.before, update.recorded.vm
    if vm is None:
        return False
    seen = before.recorded.vm if before is not None else None
    return seen is None or seen.agent_id != vm.agent_id


def _drop_vm(update: _Update, vm: RecordedVm, machine: Machine | None) -> None:
    disk = update.recorded.active_disk
    # Where nobody answers, nobody unmounts: the disk is detached with the VM's deletion.
    if disk is not None and machine is not None:
        release_disk(update.world, vm=vm, disk=disk, machine=machine)
    update.progress.status("deleting VM")
    delete_vm_of(update.rollout, update.recorded, vm)


def _detach_and_delete_vm(update: _Update, vm: RecordedVm) -> None:
    machine = update.machine(vm)
    try:
        _drop_vm(update, vm, machine)
    finally:
        machine.close()


def _stop_request(update: _Update) -> StopRequest:
    step, old, new = update.step, update.recorded.spec, update.spec
    leaves_vm = step.action is Action.RECREATE or step.state == DesiredState.DETACHED
    shutdown = leaves_vm or step.state != DesiredState.STARTED or step.disk_changes
    was = {job.name: job for job in old.jobs} if old else {}
    had = set(old.packages) if old else set()
    disk = update.recorded.active_disk
    return StopRequest(
        skip_drain=update.rollout.skip_drain(update.recorded),
        drain="shutdown" if shutdown else "update",
        vm_next="delete" if leaves_vm else "keep",
        changed_jobs=frozenset(j.name for j in new.jobs if was.get(j.name) != j),
        changed_packages=frozenset(p.name for p in new.packages if p not in had),
        persistent_disk_mb=disk.size_mb if disk else 0,
        persistent_disk_next_mb=new.disk.size_mb if new.disk else 0,
    )


def _settle_disk(update: _Update, spec: InstanceSpec, vm: RecordedVm, machine: Machine) -> None:
    """Attach and mount; skipped where the VM kept its disk and nothing about it changes."""
    recorded = update.rollout.recorded(spec.id)
    current: RecordedDisk | None = recorded.active_disk
    untouched = (
        not update.step.disk_changes
        and not update.recorded.dirty
        and update.recorded.vm is not None
        and update.recorded.vm.agent_id == vm.agent_id
        and update.step.action is Action.UPDATE
    )
    if untouched or (spec.disk is None and current is None):
        return
    settle_disk(
        update.world,
        update.rollout.run,
        spec=spec,
        current=current,
        vm=vm,
        machine=machine,
        cloud_properties=update.rollout.fill(spec.disk.cloud_properties) if spec.disk else {},
        renew=update.step.disk_changes and current is not None,
    )


def _record_done(update: _Update) -> None:
    spec = update.rollout.specs.get(update.spec.id, update.spec)
    now = update.rollout.recorded(spec.id)
    update.world.store.instances.save(
        replace(
            now,
            spec=spec,
            dirty=False,
            index=spec.index,
            bootstrap=spec.bootstrap,
            az=spec.az,
            group=spec.group,
            state=DesiredState(update.step.state),
        )
    )


def _audit(update: _Update, *, error: str | None = None) -> None:
    before = update.step.before
    verb = "update"
    if before is None or before.recorded.spec is None:
        verb = "create"
    elif update.step.action is Action.RECREATE:
        verb = "recreate"
    update.rollout.run.audit(
        AuditEvent(
            action=verb,
            object_type="instance",
            object_name=update.spec.name,
            deployment=update.spec.deployment,
            instance=update.spec.name,
            error=error,
        )
    )

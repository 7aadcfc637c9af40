"""Delete one instance: what it leaves behind is its disk, orphaned. Its row goes last."""

from __future__ import annotations

from director.execute.disks import orphan_disk, release_disk
from director.execute.run import TaskRun
from director.execute.stage import Step
from director.execute.vms import delete_vm
from director.execute.world import World
from director.machine.contract import Machine, StopRequest
from director.model.errors import DirectorError
from director.model.events import AuditEvent
from director.model.instances import Found, RecordedInstance
from director.plan.steps import DeleteInstance


def delete_instance(
    world: World,
    run: TaskRun,
    step: DeleteInstance,
    progress: Step,
    *,
    skip_drain: bool = False,
    deployment_next: str = "keep",
    force: bool = False,
) -> None:
    """Stop an instance, delete its VM, orphan its disk, free its addresses, drop its row.

    A VM that does not answer is deleted without stopping. With ``force`` nothing that its
    machine says stops the deletion.
    """
    recorded = step.instance.recorded
    vm, disk = recorded.vm, recorded.active_disk
    if vm is not None and vm.cid is not None:
        machine = None
        if step.instance.found is Found.RESPONSIVE:
            machine = world.connect(vm, run.cancelled)
        try:
            if machine is not None:
                _stop_for_good(
                    machine, recorded, progress, skip_drain, deployment_next, force=force
                )
            # Where nobody unmounts, the disk is detached with the VM's deletion.
            if disk is not None and machine is not None and not force:
                release_disk(world, vm=vm, disk=disk, machine=machine)
        finally:
            if machine is not None:
                machine.close()
    if vm is not None:
        progress.status("deleting VM")
        delete_vm(world, run, vm)
    for owned in recorded.disks:
        if owned.cid is not None and owned.orphaned_at is None:
            orphan_disk(world, run, owned)
    world.store.addresses.release(instance_id=recorded.id)
    world.store.instances.delete(recorded.id)
    run.audit(
        AuditEvent(
            action="delete",
            object_type="instance",
            object_name=recorded.name,
            deployment=recorded.deployment,
            instance=recorded.name,
        )
    )


def _stop_for_good(
    machine: Machine,
    recorded: RecordedInstance,
    progress: Step,
    skip_drain: bool,
    deployment_next: str,
    *,
    force: bool,
) -> None:
    disk = recorded.active_disk
    request = StopRequest(
        skip_drain=skip_drain,
        drain="shutdown",
        vm_next="delete",
        instance_next="delete",
        deployment_next=deployment_next,
        persistent_disk_mb=disk.size_mb if disk else 0,
    )
    try:
        machine.stop(request, progress.status)
    except DirectorError:
        if not force:
            raise

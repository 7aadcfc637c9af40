"""Persistent disks by hand: attach one to an instance, orphan one, delete orphaned ones."""

from __future__ import annotations

from dataclasses import replace

from cpis.contract import NotImplementedByCpi
from director.execute.disks import on_cpi, release_disk, settle_disk
from director.execute.disks import orphan_disk as record_orphan
from director.execute.lock import deployment_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.configs import called
from director.model.errors import DiskNotFound, InstanceNotFound
from director.model.events import AuditEvent
from director.model.ids import DiskCid, InstanceId
from director.model.instances import DiskSpec, RecordedDisk, RecordedInstance


def attach_disk(world: World, run: TaskRun) -> str:
    """Run an ``attach_disk`` task: make a disk the persistent disk of an instance.

    The disk the instance has is orphaned. Any disk of the cloud will do, also one the director
    never made. The instance should be stopped: what has files open on the disk does not like it.
    """
    args = run.task.args
    deployment, cid = str(args["deployment"]), DiskCid(str(args["cid"]))
    with deployment_lock(world, run, deployment):
        instance = world.store.instances.get(InstanceId(str(args["instance_id"])))
        if instance is None or instance.deployment != deployment:
            raise InstanceNotFound(f"instance '{args['instance_id']}' doesn't exist")
        with run.stage("Attach disk", total=1).track(f"{cid} to {instance.name}"):
            _attach(world, run, instance, cid)
    return f"attached disk '{cid}' to '{instance.name}' in deployment '{deployment}'"


def _attach(world: World, run: TaskRun, instance: RecordedInstance, cid: DiskCid) -> None:
    current, vm = instance.active_disk, instance.vm
    if current is not None and current.cid == cid:
        return
    disk = _find(world, instance, cid)
    if vm is not None and not on_cpi(world, disk, vm.cpi):
        raise DiskNotFound(
            f"disk '{cid}' is on {called(disk.cpi)}, and the VM of '{instance.name}' on "
            f"{called(vm.cpi)}",
            fix="attach a disk of the VM's own cloud",
        )
    machine = world.connect(vm, run.cancelled) if vm is not None and vm.cid is not None else None
    try:
        if current is not None:
            if vm is not None and machine is not None:
                release_disk(world, vm=vm, disk=current, machine=machine)
            record_orphan(world, run, current)
        world.store.disks.activate(cid, instance.id)
        if vm is not None and machine is not None and instance.spec is not None:
            wanted = DiskSpec(
                size_mb=disk.size_mb, type=disk.type, cloud_properties=disk.cloud_properties
            )
            settle_disk(
                world,
                run,
                spec=replace(instance.spec, disk=wanted),
                current=disk,
                vm=vm,
                machine=machine,
                cloud_properties=disk.cloud_properties,
            )
    finally:
        if machine is not None:
            machine.close()
    run.audit(
        AuditEvent(
            action="attach",
            object_type="disk",
            object_name=cid,
            deployment=instance.deployment,
            instance=instance.name,
        )
    )


def _find(world: World, instance: RecordedInstance, cid: DiskCid) -> RecordedDisk:
    """Return the disk's record, made now for a disk the director has not seen before."""
    known = world.store.disks.get(cid)
    if known is not None:
        if known.active:
            raise DiskNotFound(
                f"disk '{cid}' is in use by '{known.instance_name}'",
                fix="orphan it first: director orphan-disk " + cid,
            )
        return known
    cpi = _cpi_with(world, instance, cid)
    size = instance.spec.disk.size_mb if instance.spec and instance.spec.disk else 0
    token = world.new_id()
    world.store.disks.intend(
        RecordedDisk(
            token=token,
            deployment=instance.deployment,
            instance_name=instance.name,
            instance_id=instance.id,
            size_mb=size,
            az=instance.az,
            cpi=cpi,
            cloud_properties=instance.spec.disk.cloud_properties
            if instance.spec and instance.spec.disk
            else {},
        )
    )
    world.store.disks.created(token, cid)
    found = world.store.disks.get(cid)
    if found is None:
        raise AssertionError(f"disk '{cid}' was just recorded")
    return found


def _cpi_with(world: World, instance: RecordedInstance, cid: DiskCid) -> str:
    """Return the CPI whose cloud has the disk: that of the instance's VM, or the first.

    A CPI that cannot tell counts as having it: attaching will show.
    """
    names = world.cpi_config().names if instance.vm is None else (instance.vm.cpi,)
    for name in names:
        try:
            if world.cpi(name).has_disk(cid):
                return name
        except NotImplementedByCpi:
            return name
    owner = "the cloud has" if len(names) == 1 else "the clouds have"
    raise DiskNotFound(
        f"{owner} no disk '{cid}'",
        fix="look at: director disks -o",
    )


def orphan_disk(world: World, run: TaskRun) -> str:
    """Run an ``orphan_disk`` task: take a disk from its instance. An unknown one is a warning."""
    cid = DiskCid(str(run.task.args["cid"]))
    disk = world.store.disks.get(cid)
    if disk is None or disk.orphaned_at is not None:
        run.warn(f"Disk {cid} does not exist. Orphaning is skipped")
        return f"disk {cid} orphaned"
    with (
        deployment_lock(world, run, disk.deployment),
        run.stage("Orphan disk", total=1).track(cid),
    ):
        instance = (
            world.store.instances.get(disk.instance_id) if disk.instance_id is not None else None
        )
        vm = instance.vm if instance is not None else None
        if vm is not None and vm.cid is not None and disk.active:
            machine = world.connect(vm, run.cancelled)
            try:
                answering = world.probe(vm) is None
                release_disk(world, vm=vm, disk=disk, machine=machine if answering else None)
            finally:
                machine.close()
        record_orphan(world, run, disk)
    return f"disk {cid} orphaned"


def delete_orphan_disks(world: World, run: TaskRun) -> str:
    """Run a ``delete_orphan_disks`` task: delete orphaned disks, and their data, for good."""
    cids = [DiskCid(str(cid)) for cid in run.task.args["cids"]]
    stage = run.stage("Deleting orphaned disks", total=len(cids))
    for cid in cids:
        run.checkpoint()
        with stage.track(cid):
            delete_orphan(world, run, cid)
    return f"orphaned disk(s) {', '.join(cids)} deleted"


def delete_orphan(world: World, run: TaskRun, cid: DiskCid) -> None:
    """Delete one orphaned disk; one that is unknown is skipped, one in use is an error."""
    disk = world.store.disks.get(cid)
    if disk is None:
        return
    if disk.orphaned_at is None:
        raise DiskNotFound(
            f"disk '{cid}' is not orphaned: it belongs to '{disk.instance_name}'",
            fix=f"orphan it first: director orphan-disk {cid}",
        )
    world.cpi(disk.cpi).delete_disk(cid)
    world.store.disks.delete(cid)
    run.audit(
        AuditEvent(action="delete", object_type="disk", object_name=cid, deployment=disk.deployment)
    )

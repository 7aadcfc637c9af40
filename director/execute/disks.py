"""Persistent disks: made, attached, replaced with their data, orphaned; never deleted here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cpis.contract import (
    CloudDiskNotFound,
    Cpi,
    DiskNotAttached,
    NotImplementedByCpi,
    NotSupportedByCpi,
    VmNotFound,
)
from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.contract import Machine
from director.model.configs import called
from director.model.errors import CpiError
from director.model.events import AuditEvent
from director.model.ids import DiskCid, VmCid
from director.model.instances import DiskSpec, InstanceSpec, RecordedDisk, RecordedVm
from director.model.manifest import Json


def same_disk(wanted: DiskSpec, disk: RecordedDisk) -> bool:
    """Whether ``disk`` is what is wanted: its size and cloud properties, not its type's name."""
    return disk.size_mb == wanted.size_mb and disk.cloud_properties == wanted.cloud_properties


def on_cpi(world: World, disk: RecordedDisk, cpi: str) -> bool:
    """Whether a disk is one of this CPI's; each of them may go by a name it had once."""
    current = world.cpi_config().current
    return current(disk.cpi) == current(cpi)


def settle_disk(
    world: World,
    run: TaskRun,
    *,
    spec: InstanceSpec,
    current: RecordedDisk | None,
    vm: RecordedVm,
    machine: Machine,
    cloud_properties: Json,
    renew: bool = False,
) -> None:
    """Make the instance's VM have the disk its spec wants, mounted, with the data it had.

    ``cloud_properties`` are the wanted disk's with variables filled in; ``renew`` replaces even a
    disk that is as wanted. May be called again: what is done already is found done.
    """
    if current is not None and not on_cpi(world, current, vm.cpi):
        _leave_behind(world, run, spec, current, vm)
        current = None
    _release_strays(world, vm, current, machine)
    if spec.disk is None:
        if current is not None:
            release_disk(world, vm=vm, disk=current, machine=machine)
            orphan_disk(world, run, current)
        return
    if current is None:
        new = _create(world, run, spec=spec, vm=vm, cloud_properties=cloud_properties)
        _mount(machine, _attach(world, vm, new), spec)
        world.store.disks.activate(_cid(new), spec.id)
    elif same_disk(spec.disk, current) and not renew:
        _mount(machine, _attach(world, vm, current), spec)
    elif not _change_in_place(world, run, spec, current, vm, machine, cloud_properties):
        _replace(world, run, spec, current, vm, machine, cloud_properties)


def _leave_behind(
    world: World, run: TaskRun, spec: InstanceSpec, disk: RecordedDisk, vm: RecordedVm
) -> None:
    """Orphan a disk on another CPI than the VM's; raises CpiError if its data is still wanted."""
    if spec.disk is not None:
        raise CpiError(
            f"disk '{disk.cid}' is on {called(disk.cpi)}, and the VM of '{spec.name}' on "
            f"{called(vm.cpi)}",
            fix="deploy it on the CPI that has its disk",
        )
    orphan_disk(world, run, disk)


def _release_strays(
    world: World, vm: RecordedVm, current: RecordedDisk | None, machine: Machine
) -> None:
    """Detach what an earlier run attached and died before it took into use.

    A CPI that cannot tell which disks a VM has, as some of BOSH's, leaves such a disk attached.
    """
    cpi = world.cpi(vm.cpi)
    try:
        attached = cpi.get_disks(_vm_cid(vm))
    except NotImplementedByCpi:
        return
    strays = [cid for cid in attached if current is None or cid != current.cid]
    if strays:
        machine.unmount_disk()
    for cid in strays:
        cpi.detach_disk(_vm_cid(vm), cid)


def _change_in_place(
    world: World,
    run: TaskRun,
    spec: InstanceSpec,
    current: RecordedDisk,
    vm: RecordedVm,
    machine: Machine,
    cloud_properties: Json,
) -> bool:
    """Let the cloud change the disk itself; whether it did. Else the disk is as it was, detached.

    It is recorded as changed when all is done: a run that dies before that does all of it again,
    which changes nothing twice.
    """
    ways = _ways_in_place(world, spec, current, world.cpi(vm.cpi), cloud_properties)
    if not ways:
        return False
    release_disk(world, vm=vm, disk=current, machine=machine)
    for way in ways:
        try:
            cid = way() or _cid(current)
            break
        except (NotSupportedByCpi, NotImplementedByCpi) as error:
            run.log.info("disk '%s' is copied: %s", current.cid, error)
    else:
        return False
    changed = replace(current, cid=cid)
    if cid != current.cid:
        world.store.disks.created(current.token, cid)
        _tag(world, spec, changed)
    _mount(machine, _attach(world, vm, changed), spec)
    machine.grow_disk()
    world.store.disks.changed(current.token, _disk_of(spec))
    run.audit(
        AuditEvent(
            action="update",
            object_type="disk",
            object_name=cid,
            deployment=spec.deployment,
            instance=spec.name,
        )
    )
    return True


def _ways_in_place(
    world: World, spec: InstanceSpec, current: RecordedDisk, cpi: Cpi, cloud_properties: Json
) -> list[Callable[[], DiskCid | None]]:
    """Return the calls that may turn the disk into what is wanted: none for one that shrinks, none
    for one that is to be renewed though it is as wanted."""
    wanted, cid = _disk_of(spec), _cid(current)
    if same_disk(wanted, current) or wanted.size_mb < current.size_mb:
        return []
    ways: list[Callable[[], DiskCid | None]] = []
    if world.update_disks:
        ways.append(lambda: cpi.update_disk(cid, wanted.size_mb, cloud_properties))
    if world.resize_disks and wanted.cloud_properties == current.cloud_properties:
        ways.append(lambda: cpi.resize_disk(cid, wanted.size_mb))
    return ways


def _replace(
    world: World,
    run: TaskRun,
    spec: InstanceSpec,
    current: RecordedDisk,
    vm: RecordedVm,
    machine: Machine,
    cloud_properties: Json,
) -> None:
    _mount(machine, _attach(world, vm, current), spec)
    new = _create(world, run, spec=spec, vm=vm, cloud_properties=cloud_properties)
    filesystem, options = _mount_options(spec)
    machine.migrate_disk(_attach(world, vm, new), filesystem=filesystem, options=options)
    world.store.disks.activate(_cid(new), spec.id)
    world.cpi(vm.cpi).detach_disk(_vm_cid(vm), _cid(current))
    orphan_disk(world, run, current)


def release_disk(
    world: World, *, vm: RecordedVm, disk: RecordedDisk, machine: Machine | None
) -> None:
    """Unmount (where a machine answers) and detach; a disk that is not attached is left alone."""
    if machine is not None:
        machine.unmount_disk()
    try:
        world.cpi(vm.cpi).detach_disk(_vm_cid(vm), _cid(disk))
    except (DiskNotAttached, VmNotFound, CloudDiskNotFound):
        return


def orphan_disk(world: World, run: TaskRun, disk: RecordedDisk) -> None:
    """Record that the disk belongs to nobody; its data stays until somebody deletes it."""
    world.store.disks.orphan(_cid(disk), world.now())
    run.audit(
        AuditEvent(
            action="orphan",
            object_type="disk",
            object_name=_cid(disk),
            deployment=disk.deployment,
            instance=disk.instance_name,
        )
    )


def _create(
    world: World, run: TaskRun, *, spec: InstanceSpec, vm: RecordedVm, cloud_properties: Json
) -> RecordedDisk:
    wanted, token = _disk_of(spec), world.new_id()
    disk = RecordedDisk(
        token=token,
        deployment=spec.deployment,
        instance_name=spec.name,
        instance_id=spec.id,
        size_mb=wanted.size_mb,
        az=spec.az,
        cpi=vm.cpi,
        type=wanted.type,
        cloud_properties=wanted.cloud_properties,
    )
    world.store.disks.intend(disk)
    cpi = world.cpi(vm.cpi)
    cid = cpi.create_disk(wanted.size_mb, cloud_properties, vm.cid, token=token)
    world.store.disks.created(token, cid)
    _tag(world, spec, replace(disk, cid=cid))
    run.audit(
        AuditEvent(
            action="create",
            object_type="disk",
            object_name=cid,
            deployment=spec.deployment,
            instance=spec.name,
        )
    )
    found = world.store.disks.get(cid)
    if found is None:
        raise AssertionError(f"disk '{cid}' was just recorded")
    return found


def _tag(world: World, spec: InstanceSpec, disk: RecordedDisk) -> None:
    world.cpi(disk.cpi).set_disk_metadata(
        _cid(disk),
        {
            "director": world.name,
            "deployment": spec.deployment,
            "instance_group": spec.group,
            "instance_id": spec.id,
        },
    )


def _disk_of(spec: InstanceSpec) -> DiskSpec:
    if spec.disk is None:
        raise AssertionError("no disk is wanted")
    return spec.disk


def _attach(world: World, vm: RecordedVm, disk: RecordedDisk) -> str:
    return world.cpi(vm.cpi).attach_disk(_vm_cid(vm), _cid(disk))


def _mount(machine: Machine, device: str, spec: InstanceSpec) -> None:
    filesystem, options = _mount_options(spec)
    machine.mount_disk(device, filesystem=filesystem, options=options)


def _mount_options(spec: InstanceSpec) -> tuple[str, str]:
    options = spec.env.get("persistent_disk_mount_options", [])
    text = ",".join(options) if isinstance(options, list) else str(options)
    return str(spec.env.get("persistent_disk_fs") or "ext4"), text


def _cid(disk: RecordedDisk) -> DiskCid:
    if disk.cid is None:
        raise AssertionError("the disk was never made")
    return disk.cid


def _vm_cid(vm: RecordedVm) -> VmCid:
    if vm.cid is None:
        raise AssertionError("the VM was never made")
    return vm.cid

"""Checks of persistent disks and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cpis.conformance.lab import (
    DoesNotApply,
    Lab,
    require,
    require_error,
    require_finding,
)
from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    DiskNotAttached,
    NotImplementedByCpi,
    NotSupportedByCpi,
)
from director.model.ids import DiskCid, SnapshotCid

NO_DISK = DiskCid("disk-that-never-was")


def makes_and_deletes_a_disk(lab: Lab) -> None:
    """A disk is there after create_disk, and gone after delete_disk, which may be called again."""
    cid = lab.disk()
    require(lab.cpi.has_disk(cid), "has_disk is true for a new disk")
    lab.cpi.set_disk_metadata(cid, {"deployment": "d"})
    lab.cpi.delete_disk(cid)
    require(not lab.cpi.has_disk(cid), "has_disk is false for a deleted disk")
    lab.cpi.delete_disk(cid)
    lab.cpi.delete_disk(NO_DISK)


def repeats_the_same_disk(lab: Lab) -> None:
    """create_disk with the same token returns the same disk; without one, always another."""
    require_finding(lab)
    token, shared = lab.token("same"), lab.token("shared")
    cid = lab.disk(token=token)
    require(lab.disk(token=token) == cid, "the same token gives the same disk")
    require(lab.cpi.find_disk(token) == cid, "find_disk finds it by its token")
    require(lab.disk(token="") != lab.disk(token=""), "disks without token differ")
    if lab.given.again is not None:
        require(lab.given.again().find_disk(token) == cid, "another process finds the disk")
    with ThreadPoolExecutor(4) as threads:
        same = set(threads.map(lambda _: lab.disk(token=shared), range(4)))
    require(len(same) == 1, "one token used by many threads gives one disk")


def attaches_and_detaches(lab: Lab) -> None:
    """attach_disk gives the same path each time; detach_disk ends it, and a second raises."""
    vm, _ = lab.vm()
    disk = lab.disk()
    path = lab.cpi.attach_disk(vm, disk)
    hints = path.split()
    require(bool(hints), "attach_disk says where the disk is")
    require(all(hint.startswith("/dev/") for hint in hints), "it is in /dev")
    require(lab.cpi.attach_disk(vm, disk) == path, "attached again, it has the same path")
    require(list(lab.cpi.get_disks(vm)) == [disk], "get_disks lists it")
    lab.cpi.detach_disk(vm, disk)
    require(list(lab.cpi.get_disks(vm)) == [], "get_disks lists it no more")
    detach = lambda: lab.cpi.detach_disk(vm, disk)  # noqa: E731 -- said once, used as a call
    require_error(DiskNotAttached, "a second detach", detach)
    require(lab.cpi.attach_disk(vm, disk) == path, "its path on this VM stays the same")


def keeps_disks_apart(lab: Lab) -> None:
    """Two disks have two paths; an attached disk is not for another VM, nor deleted."""
    vm, _ = lab.vm(0)
    other, _ = lab.vm(1)
    disk, second = lab.disk(), lab.disk()
    paths = {lab.cpi.attach_disk(vm, disk), lab.cpi.attach_disk(vm, second)}
    require(len(paths) == 2, "two disks have two paths")
    require_error(CloudError, "attaching elsewhere", lambda: lab.cpi.attach_disk(other, disk))
    require_error(CloudError, "deleting an attached disk", lambda: lab.cpi.delete_disk(disk))
    require(set(lab.cpi.get_disks(vm)) == {disk, second}, "both disks are where they were")
    require_error(
        DiskNotAttached, "detaching from another VM", lambda: lab.cpi.detach_disk(other, disk)
    )
    lab.cpi.detach_disk(vm, disk)
    lab.cpi.attach_disk(other, disk)
    require(list(lab.cpi.get_disks(other)) == [disk], "once detached, another VM can have it")
    require(list(lab.cpi.get_disks(vm)) == [second], "the second disk stays where it is")


def makes_things_near_each_other(lab: Lab) -> None:
    """A VM can be made for a disk there is, and a disk for a VM; neither is attached by that."""
    disk = lab.disk()
    vm, _ = lab.vm(disk_cids=[disk])
    near = lab.disk(near=vm)
    require(list(lab.cpi.get_disks(vm)) == [], "create_vm and create_disk attach nothing")
    lab.cpi.attach_disk(vm, disk)
    lab.cpi.attach_disk(vm, near)
    require(set(lab.cpi.get_disks(vm)) == {disk, near}, "both can be attached to the VM")


def serves_disks_to_many_threads(lab: Lab) -> None:
    """Disks made, attached, detached and deleted at once do not get mixed up."""
    cpi = lab.cpi
    with ThreadPoolExecutor(4) as threads:
        vms = [cid for cid, _ in threads.map(lab.vm, range(2))]
        disks = list(threads.map(lambda n: lab.disk(token=lab.token(n)), range(4)))
        require(len(set(disks)) == 4, "four tokens are four disks")
        pairs = list(zip(vms, disks, strict=False))
        list(threads.map(lambda pair: cpi.attach_disk(*pair), pairs))
        held = list(threads.map(lambda vm: list(cpi.get_disks(vm)), vms))
        require(held == [[disks[0]], [disks[1]]], "each VM has its own disk")
        list(threads.map(lambda pair: cpi.detach_disk(*pair), pairs))
        list(threads.map(cpi.delete_disk, disks))
        require(not any(threads.map(cpi.has_disk, disks)), "all are gone")


def frees_the_disks_of_a_deleted_vm(lab: Lab) -> None:
    """delete_vm detaches disks and keeps them."""
    vm, _ = lab.vm(0)
    other, _ = lab.vm(1)
    disk = lab.disk()
    lab.cpi.attach_disk(vm, disk)
    lab.cpi.delete_vm(vm)
    require(lab.cpi.has_disk(disk), "the disk is there")
    lab.cpi.attach_disk(other, disk)
    require(list(lab.cpi.get_disks(other)) == [disk], "another VM can have it")


def keeps_disks_over_a_reboot(lab: Lab) -> None:
    """A disk stays attached when its VM reboots."""
    vm, _ = lab.vm()
    disk = lab.disk()
    path = lab.cpi.attach_disk(vm, disk)
    lab.cpi.reboot_vm(vm)
    require(list(lab.cpi.get_disks(vm)) == [disk], "it is attached after the reboot")
    require(lab.cpi.attach_disk(vm, disk) == path, "its path is the same")


def names_missing_disks(lab: Lab) -> None:
    """What needs a disk raises DiskNotFound without one."""
    cpi = lab.cpi
    vm, _ = lab.vm()
    calls: dict[str, Callable[[], object]] = {
        "attach_disk": lambda: cpi.attach_disk(vm, NO_DISK),
        "detach_disk": lambda: cpi.detach_disk(vm, NO_DISK),
        "set_disk_metadata": lambda: cpi.set_disk_metadata(NO_DISK, {}),
        "snapshot_disk": lambda: cpi.snapshot_disk(NO_DISK, {}),
    }
    for name, call in calls.items():
        require_error(CloudDiskNotFound, f"{name} on a missing disk", call)
    require(not cpi.has_disk(NO_DISK), "has_disk is false for what never was")


def refuses_impossible_disks(lab: Lab) -> None:
    """A disk of no size is refused."""
    properties = lab.given.disk_cloud_properties

    def create(size: int) -> Callable[[], object]:
        return lambda: lab.cpi.create_disk(size, properties, None)

    for size in (0, -1):
        require_error(CloudError, f"a disk of {size} MiB", create(size))


def resizes_disks(lab: Lab) -> None:
    """A disk grows, or the CPI says that it cannot; none shrinks."""
    disk = lab.disk()
    try:
        lab.cpi.resize_disk(disk, lab.given.disk_mb * 2)
    except (NotSupportedByCpi, NotImplementedByCpi) as error:
        raise DoesNotApply(error.what) from error
    lab.cpi.resize_disk(disk, lab.given.disk_mb * 2)
    require_error(
        NotSupportedByCpi, "shrinking", lambda: lab.cpi.resize_disk(disk, lab.given.disk_mb)
    )
    require_error(
        CloudDiskNotFound, "growing a missing disk", lambda: lab.cpi.resize_disk(NO_DISK, 10)
    )


def updates_disks(lab: Lab) -> None:
    """A disk changes in place, or the CPI says that it cannot; none shrinks."""
    disk, properties = lab.disk(), lab.given.disk_cloud_properties
    try:
        new = lab.cpi.update_disk(disk, lab.given.disk_mb * 2, properties)
    except (NotSupportedByCpi, NotImplementedByCpi) as error:
        raise DoesNotApply(error.what) from error
    require(lab.cpi.has_disk(new or disk), "the disk is there after its update")
    require_error(
        NotSupportedByCpi,
        "shrinking by update_disk",
        lambda: lab.cpi.update_disk(new or disk, lab.given.disk_mb, properties),
    )
    require_error(
        CloudDiskNotFound,
        "updating a missing disk",
        lambda: lab.cpi.update_disk(NO_DISK, lab.given.disk_mb, properties),
    )


def snapshots_disks(lab: Lab) -> None:
    """Snapshots differ from each other, outlive their disk where that can be, and may be deleted
    twice."""
    disk = lab.disk()
    try:
        first = lab.snapshot(disk, {"reason": "check"})
    except (NotSupportedByCpi, NotImplementedByCpi) as error:
        raise DoesNotApply(error.what) from error
    second = lab.snapshot(disk, {})
    require(first != second, "two snapshots are two")
    if lab.given.snapshots_outlive_disks:
        lab.cpi.delete_disk(disk)
    for snapshot in (first, second, first, SnapshotCid("snapshot-that-never-was")):
        lab.cpi.delete_snapshot(snapshot)


def snapshots_disks_in_use(lab: Lab) -> None:
    """A disk is snapshotted while a VM has it, which is when operators want it."""
    vm, _ = lab.vm()
    disk = lab.disk()
    lab.cpi.attach_disk(vm, disk)
    try:
        lab.snapshot(disk, {"reason": "check"})
    except (NotSupportedByCpi, NotImplementedByCpi) as error:
        raise DoesNotApply(error.what) from error
    require(list(lab.cpi.get_disks(vm)) == [disk], "the disk is still attached")


CHECKS: tuple[Callable[[Lab], None], ...] = (
    makes_and_deletes_a_disk,
    repeats_the_same_disk,
    attaches_and_detaches,
    keeps_disks_apart,
    makes_things_near_each_other,
    serves_disks_to_many_threads,
    frees_the_disks_of_a_deleted_vm,
    keeps_disks_over_a_reboot,
    names_missing_disks,
    refuses_impossible_disks,
    resizes_disks,
    updates_disks,
    snapshots_disks,
    snapshots_disks_in_use,
)

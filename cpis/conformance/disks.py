"""Checks of persistent disks and snapshots."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cpis.conformance.lab import Lab, require, require_error
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
    token = f"token-{lab.agent()}"
    cid = lab.disk(token=token)
    require(lab.disk(token=token) == cid, "the same token gives the same disk")
    require(lab.cpi.find_disk(token) == cid, "find_disk finds it by its token")
    require(lab.disk() != lab.disk(), "disks without token differ")
    if lab.given.again is not None:
        require(lab.given.again().find_disk(token) == cid, "another process finds the disk")
    with ThreadPoolExecutor(4) as threads:
        same = set(threads.map(lambda _: lab.disk(token=f"{token}-2"), range(4)))
    require(len(same) == 1, "one token used by many threads gives one disk")


def attaches_and_detaches(lab: Lab) -> None:
    """attach_disk gives the same path each time; detach_disk ends it, and a second raises."""
    vm, _ = lab.vm()
    disk = lab.disk()
    path = lab.cpi.attach_disk(vm, disk)
    require(path.startswith("/"), "attach_disk returns a path")
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
    except (NotSupportedByCpi, NotImplementedByCpi):
        return
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
    except (NotSupportedByCpi, NotImplementedByCpi):
        return
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
    first = lab.cpi.snapshot_disk(disk, {"reason": "check"})
    second = lab.cpi.snapshot_disk(disk, {})
    require(first != second, "two snapshots are two")
    if lab.given.snapshots_outlive_disks:
        lab.cpi.delete_disk(disk)
    for snapshot in (first, second, first, SnapshotCid("snapshot-that-never-was")):
        lab.cpi.delete_snapshot(snapshot)


CHECKS: tuple[Callable[[Lab], None], ...] = (
    makes_and_deletes_a_disk,
    repeats_the_same_disk,
    attaches_and_detaches,
    keeps_disks_apart,
    frees_the_disks_of_a_deleted_vm,
    keeps_disks_over_a_reboot,
    names_missing_disks,
    refuses_impossible_disks,
    resizes_disks,
    updates_disks,
    snapshots_disks,
)

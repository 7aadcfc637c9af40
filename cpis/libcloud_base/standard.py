"""A provider written over libcloud's standard compute API, to begin a new cloud with.

It works for every cloud of which a driver has nodes and volumes, given the few functions that no
standard covers. It finds things by listing all of them: a cloud that can look one up by its name
replaces ``vm``, ``vm_named``, ``disk`` and ``disk_named``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpis.contract import CloudError, Json
from cpis.libcloud_base.calls import Calls
from cpis.libcloud_base.judge import NotThere
from cpis.libcloud_base.provider import Disk, Provider, Size, Vm, WantedDisk, WantedVm
from director.model.ids import DiskCid, SnapshotCid, StemcellCid, VmCid


def standard(
    title: str,
    calls: Calls[Any],
    *,
    node_arguments: Callable[[Any, WantedVm], dict[str, Any]],
    volume_arguments: Callable[[Any, WantedDisk], dict[str, Any]],
    holder: Callable[[Any], VmCid | None],
    device: Callable[[Vm, Disk], str],
    size_properties: Callable[[Size, int], Json],
    detach_arguments: Callable[[Vm], dict[str, Any]] = lambda _vm: {},
) -> Provider:
    """Return a provider that uses a driver's ``create_node``, ``list_nodes`` and so on.

    ``node_arguments`` and ``volume_arguments`` return what ``create_node`` and ``create_volume``
    are called with beside ``name`` and the volume's ``size``; they are given the driver too.
    ``holder`` says which VM a libcloud volume is attached to. A stemcell is light: its property
    ``image_id`` names an image that is in the cloud.
    """
    find = _Find(calls=calls, holder=holder)
    return Provider(
        title=title,
        calls=calls,
        stemcell_formats=("light",),
        stemcell=lambda properties: find.image(title, properties),
        vm=lambda cid: find.vm(lambda node: str(node.id) == cid),
        vm_named=lambda name: find.vm(lambda node: bool(node.name == name)),
        disk=lambda cid: find.disk(lambda volume: str(volume.id) == cid),
        disk_named=lambda name: find.disk(lambda volume: bool(volume.name == name)),
        disks_of=lambda vm: find.disks_of(vm.cid),
        create_vm=lambda wanted: calls.ask(
            "creating the VM",
            lambda d: _done(d.create_node(name=wanted.name, **node_arguments(d, wanted))),
            repeatable=False,
        ),
        delete_vm=lambda vm: gone(calls, "deleting the VM", lambda d: d.destroy_node(vm.thing)),
        reboot_vm=lambda vm: _done(
            calls.ask("rebooting the VM", lambda d: d.reboot_node(vm.thing))
        ),
        create_disk=lambda wanted: calls.ask(
            "creating the disk",
            lambda d: _done(
                d.create_volume(wanted.size_gb, wanted.name, **volume_arguments(d, wanted))
            ),
            repeatable=False,
        ),
        delete_disk=lambda disk: gone(
            calls, "deleting the disk", lambda d: d.destroy_volume(disk.thing)
        ),
        attach=lambda vm, disk: _done(
            calls.ask("attaching the disk", lambda d: d.attach_volume(vm.thing, disk.thing))
        ),
        detach=lambda vm, disk: _done(
            calls.ask(
                "detaching the disk",
                lambda d: d.detach_volume(disk.thing, **detach_arguments(vm)),
            )
        ),
        snapshot=lambda disk, name, _metadata: SnapshotCid(
            calls.ask(
                "making the snapshot",
                lambda d: str(d.create_volume_snapshot(disk.thing, name).id),
                repeatable=False,
            )
        ),
        delete_snapshot=lambda cid: delete_snapshot(calls, cid),
        device=device,
        sizes=lambda: sizes(calls),
        size_properties=size_properties,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Find:
    """Finding things by listing all of their kind."""

    calls: Calls[Any]
    holder: Callable[[Any], VmCid | None]

    def vm(self, wanted: Callable[[Any], bool]) -> Vm | None:
        nodes = self.calls.ask("listing the VMs", lambda d: list(d.list_nodes()))
        there = (node for node in nodes if str(node.state).lower() != "terminated")
        return next((vm_of(node) for node in there if wanted(node)), None)

    def disk(self, wanted: Callable[[Any], bool]) -> Disk | None:
        return next((self._disk_of(one) for one in self._volumes() if wanted(one)), None)

    def disks_of(self, cid: VmCid) -> Sequence[DiskCid]:
        return [DiskCid(str(one.id)) for one in self._volumes() if self.holder(one) == cid]

    def image(self, title: str, properties: Json) -> StemcellCid:
        cid = str(properties.get("image_id") or "")
        known = self.calls.ask("listing the images", lambda d: [str(i.id) for i in d.list_images()])
        if cid not in known:
            raise CloudError(f"{title} has no image '{cid}'", fix="set 'image_id' of the stemcell")
        return StemcellCid(cid)

    def _volumes(self) -> list[Any]:
        return self.calls.ask("listing the disks", lambda d: list(d.list_volumes()))

    def _disk_of(self, volume: Any) -> Disk:
        return Disk(
            cid=DiskCid(str(volume.id)),
            size_gb=int(volume.size),
            holder=self.holder(volume),
            thing=volume,
        )


def _done(_: Any) -> None:
    """Drop what libcloud returns: what is so is read again."""


def vm_of(node: Any) -> Vm:
    """Return a libcloud node as a VM; its addresses are the private ones, in libcloud's order."""
    state = str(node.state).lower()
    return Vm(
        cid=VmCid(str(node.id)),
        running=state == "running",
        broken=state == "error",
        addresses=tuple(node.private_ips),
        thing=node,
    )


def sizes(calls: Calls[Any]) -> Sequence[Size]:
    """Return the sizes a driver lists: cheapest first where it knows prices."""
    found = calls.ask("listing the sizes", lambda d: list(d.list_sizes()))
    return [
        Size(
            name=one.name,
            cpu=float(_cpus(one.extra or {})),
            ram_mb=int(one.ram),
            rank=float(one.price or 0.0),
        )
        for one in found
    ]


def delete_snapshot(calls: Calls[Any], cid: SnapshotCid) -> None:
    """Delete a snapshot by its id, without looking it up; one that is gone is no error."""

    def delete(driver: Any) -> None:
        from libcloud.compute.base import VolumeSnapshot

        driver.destroy_volume_snapshot(VolumeSnapshot(id=cid, driver=driver))

    gone(calls, "deleting the snapshot", delete)


def gone(calls: Calls[Any], action: str, request: Callable[[Any], Any]) -> None:
    """Ask for a deletion; what is not there is deleted."""
    try:
        calls.ask(action, request)
    except NotThere:
        return


def _cpus(extra: Mapping[str, Any]) -> Any:
    return next((extra[key] for key in ("cpu", "vcpu", "vcpus", "cpus") if extra.get(key)), 1)

"""Persistent disks: Cinder's volumes, and their snapshots."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    DiskNotAttached,
    Json,
    NoDiskSpace,
    NotSupportedByCpi,
)
from cpis.openstack import servers
from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.judge import ApiError
from cpis.openstack.properties import DISK_SCHEMA
from cpis.properties import check_properties
from director.model.ids import DiskCid, SnapshotCid, VmCid

_log = logging.getLogger(__name__)
_RESTING = ("available", "in-use", "error", "error_extending", "error_deleting")
"""States that a volume does not leave by itself."""


def gib(size_mb: int) -> int:
    """Return a size in Cinder's unit, rounded up."""
    return -(-size_mb // 1024)


def name_of(token: str) -> str:
    """Return the name of the volume made for a token."""
    return f"disk-{token}"[:255]


def look(cloud: Cloud, cid: str) -> Row | None:
    """Return the volume with this id, or None."""
    found = cloud.api.look("volume", "/volumes/{}", cid, f"look at the volume '{cid}'")
    return (found or {}).get("volume")


def get(cloud: Cloud, cid: DiskCid) -> Row:
    """Return the volume with this id; raises CloudDiskNotFound."""
    volume = look(cloud, cid)
    if volume is None or volume["status"] == "deleting":
        raise CloudDiskNotFound(f"there is no disk '{cid}'")
    return volume


def find(cloud: Cloud, token: str) -> Row | None:
    """Return the volume made for a token, or None."""
    name = name_of(token)
    found = cloud.api.pages(
        "volume", "/volumes/detail", "volumes", f"look for the volume '{name}'", name=name
    )
    there = [v for v in found if v["name"] == name and v["status"] != "deleting"]
    return min(there, key=lambda v: (v["created_at"], v["id"]), default=None)


def create(
    cloud: Cloud, size_mb: int, properties: Json, vm_cid: VmCid | None, token: str
) -> DiskCid:
    """Return a new volume, or the one made for ``token``, once it is available."""
    check_properties("disk", DISK_SCHEMA, properties)
    if size_mb <= 0:
        raise CloudError(f"a disk of {size_mb} MiB cannot be made", fix="use a size above 0")
    if not token:
        return _create(cloud, size_mb, properties, vm_cid, cloud.new_id())
    with cloud.turns.of(name_of(token)):
        old = find(cloud, token)
        if old is not None and old["status"] == "error":
            delete(cloud, DiskCid(old["id"]))
        elif old is not None:
            return DiskCid(_settled(cloud, old["id"])["id"])
        return _create(cloud, size_mb, properties, vm_cid, token)


def _create(
    cloud: Cloud, size_mb: int, properties: Json, vm_cid: VmCid | None, token: str
) -> DiskCid:
    wanted: Row = {"size": gib(size_mb), "name": name_of(token)}
    if kind := properties.get("type") or cloud.settings.volume_type:
        wanted["volume_type"] = kind
    if vm_cid is not None:
        zone = servers.get(cloud, vm_cid).get("OS-EXT-AZ:availability_zone")
        if zone and not cloud.settings.ignore_server_zone:
            wanted["availability_zone"] = zone
    doing = f"create a volume of {wanted['size']} GiB"

    def make() -> Row:
        body = {"volume": wanted}
        answer = cloud.api.send("POST", "volume", "/volumes", body, doing, repeatable=False)
        return dict(answer["volume"])

    try:
        made = cloud.api.make(make, lambda: find(cloud, token))
    except ApiError as error:
        if error.quota:
            raise NoDiskSpace(error.what, fix=error.fix) from error
        if "vailability zone" in error.what:
            error.fix = (
                "set 'ignore_server_availability_zone' where volumes have zones of their own"
            )
        raise
    cid = DiskCid(made["id"])
    try:
        if _settled(cloud, cid)["status"] == "error":
            raise NoDiskSpace(
                f"OpenStack could not {doing}: the volume is in state 'error'",
                fix="look for a backend with room and of this volume type: cinder get-pools",
            )
    except CloudError:
        delete(cloud, cid)
        raise
    return cid


def _settled(cloud: Cloud, cid: str) -> Row:
    """Return the volume once nothing is done to it; raises CloudDiskNotFound."""

    def at_rest() -> Row | None:
        volume = get(cloud, DiskCid(cid))
        return volume if volume["status"] in _RESTING else None

    return cloud.api.calls.until(
        f"what it does to the volume '{cid}'",
        at_rest,
        timeout_s=cloud.settings.state_timeout_s,
    )


def delete(cloud: Cloud, cid: DiskCid) -> None:
    """Delete a volume and wait until it is gone; raises CloudError while it is in use."""
    try:
        path = at("/volumes/{}", cid)
    except ApiError:
        return
    doing = f"delete the volume '{cid}'"
    try:
        there = cloud.api.delete("volume", path, doing)
    except ApiError as error:
        # Cinder answers 400 in all states it does not delete from, without saying which it is.
        if error.http_status != 400:
            raise
        if (volume := look(cloud, cid)) is None:
            return
        if there := volume["status"] == "deleting":
            _log.info("%s is under way already", doing)
        elif holders := _holders(_settled(cloud, cid)):
            raise CloudError(f"the disk '{cid}' is attached to the VM '{holders[0]}'") from error
        else:
            there = cloud.api.delete("volume", path, doing)
    if there:
        _wait_gone(cloud, "volume", "/volumes/{}", cid)


def _wait_gone(cloud: Cloud, noun: str, template: str, cid: str) -> None:
    def gone() -> bool | None:
        found = cloud.api.look("volume", template, cid, f"look at the {noun} '{cid}'")
        if found and found[noun]["status"] == "error_deleting":
            raise CloudError(f"OpenStack could not delete the {noun} '{cid}'")
        return None if found else True

    timeout_s = cloud.settings.state_timeout_s
    cloud.api.calls.until(f"deleting the {noun} '{cid}'", gone, timeout_s=timeout_s)


def _holders(volume: Row) -> list[str]:
    return [str(one["server_id"]) for one in volume.get("attachments") or ()]


def hint(cid: DiskCid) -> str:
    """Return where a volume is inside a VM.

    QEMU hands the volume's id to the guest as the disk's serial number, of which virtio-blk keeps
    20 characters; on virtio-scsi udev adds a prefix.
    """
    start = cid[:20]
    by_id = "/dev/disk/by-id"
    return f"{by_id}/virtio-{start} {by_id}/scsi-0QEMU_QEMU_HARDDISK_{start}*"


def attach(cloud: Cloud, vm_cid: VmCid, cid: DiskCid) -> str:
    """Attach a volume, unless it is attached there already, and wait for it."""
    volume = _settled(cloud, cid)
    if vm_cid in _holders(volume):
        return hint(cid)
    path = servers.path(vm_cid, "/os-volume_attachments")
    if holders := _holders(volume):
        servers.get(cloud, vm_cid)
        raise CloudError(
            f"the disk '{cid}' is attached to the VM '{holders[0]}'", fix="detach it there first"
        )
    doing = f"attach the volume '{cid}' to the server '{vm_cid}'"
    body = {"volumeAttachment": {"volumeId": cid}}
    try:
        # Nova reserves the volume before it answers.
        cloud.api.make(
            lambda: cloud.api.send("POST", "compute", path, body, doing, repeatable=False),
            lambda: {} if get(cloud, cid)["status"] != "available" else None,
        )
    except ApiError as error:
        if error.http_status == 404:
            servers.get(cloud, vm_cid)
        # Perhaps an earlier request that was interrupted attached it just now.
        if error.http_status not in (400, 409) or vm_cid not in _holders(_settled(cloud, cid)):
            raise
    volume = _settled(cloud, cid)
    if vm_cid not in _holders(volume):
        raise CloudError(
            f"the disk '{cid}' did not attach to the VM '{vm_cid}': it is '{volume['status']}'",
            ok_to_retry=True,
        )
    return hint(cid)


def detach(cloud: Cloud, vm_cid: VmCid, cid: DiskCid) -> None:
    """Detach a volume and wait until it is free; raises DiskNotAttached."""
    volume = get(cloud, cid)
    if vm_cid not in _holders(volume):
        servers.get(cloud, vm_cid)
        raise DiskNotAttached(f"the disk '{cid}' is not attached to the VM '{vm_cid}'")
    path = servers.path(vm_cid, "/os-volume_attachments/") + at("{}", cid)
    if volume["status"] == "in-use":
        doing = f"detach the volume '{cid}' from the server '{vm_cid}'"
        try:
            if not cloud.api.delete("compute", path, doing):
                servers.get(cloud, vm_cid)
        except ApiError as error:
            # Refused where it is under way already, by a request whose answer was lost.
            if error.http_status not in (400, 409) or get(cloud, cid)["status"] == "in-use":
                raise

    def free() -> bool | None:
        now = get(cloud, cid)
        return True if vm_cid not in _holders(now) and now["status"] in _RESTING else None

    cloud.api.calls.until(
        f"detaching the volume '{cid}'", free, timeout_s=cloud.settings.state_timeout_s
    )


def change(cloud: Cloud, cid: DiskCid, size_mb: int, properties: Json | None) -> None:
    """Let a volume grow and give it another type (``properties`` None: its type stays)."""
    if properties is not None:
        check_properties("disk", DISK_SCHEMA, properties)
    volume, wanted = _settled(cloud, cid), gib(size_mb)
    if wanted < volume["size"]:
        raise NotSupportedByCpi(
            f"the disk '{cid}' has {volume['size']} GiB and cannot shrink to {wanted} GiB"
        )
    kind = (properties or {}).get("type") or (cloud.settings.volume_type if properties else None)
    if kind and kind != volume.get("volume_type"):
        change_type = {"new_type": kind, "migration_policy": "on-demand"}
        _retype(cloud, cid, change_type)
        if _settled(cloud, cid).get("volume_type") != kind:
            raise NotSupportedByCpi(f"OpenStack did not give the disk '{cid}' the type '{kind}'")
    if wanted > volume["size"]:
        if volume["status"] != "available":
            raise CloudError(f"the disk '{cid}' is '{volume['status']}'", fix="detach it first")
        _act(cloud, cid, {"os-extend": {"new_size": wanted}}, f"extend the volume '{cid}'")
        if (now := _settled(cloud, cid))["size"] < wanted:
            raise CloudError(f"the disk '{cid}' did not grow: it is '{now['status']}'")


def _retype(cloud: Cloud, cid: DiskCid, change_type: Json) -> None:
    kind = change_type["new_type"]
    try:
        _act(cloud, cid, {"os-retype": change_type}, f"give the volume '{cid}' the type '{kind}'")
    except ApiError as error:
        if error.http_status == 404 and look(cloud, cid) is not None:
            raise CloudError(
                f"there is no volume type '{kind}'", fix="set 'type' to one of this project's"
            ) from error
        if error.http_status in (400, 403):
            # A new disk of this type may still be had, and the director can copy.
            raise NotSupportedByCpi(error.what, fix=error.fix) from error
        raise


def _act(cloud: Cloud, cid: DiskCid, body: Json, doing: str) -> None:
    try:
        cloud.api.send("POST", "volume", at("/volumes/{}/action", cid), dict(body), doing)
    except ApiError as error:
        if error.quota:
            raise NoDiskSpace(error.what, fix=error.fix) from error
        raise


def label(cloud: Cloud, cid: DiskCid, metadata: Mapping[str, str]) -> None:
    """Add to a volume's metadata."""
    clean = _clean(metadata)
    if not clean:
        get(cloud, cid)
        return
    doing = f"set the metadata of the volume '{cid}'"
    try:
        path, body = at("/volumes/{}/metadata", cid), {"metadata": clean}
        cloud.api.send("POST", "volume", path, body, doing)
    except ApiError as error:
        if error.http_status == 404:
            raise CloudDiskNotFound(f"there is no disk '{cid}'") from error
        raise


def _clean(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {str(key)[:255]: str(value)[:255] for key, value in metadata.items() if str(key)}


def of_server(cloud: Cloud, vm_cid: VmCid) -> Sequence[DiskCid]:
    """Return the disks of a VM, without its root volume: that one goes with its server."""
    attached = servers.get(cloud, vm_cid).get("os-extended-volumes:volumes_attached") or ()
    return [DiskCid(one["id"]) for one in attached if not one.get("delete_on_termination")]


def snapshot(cloud: Cloud, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
    """Return a new snapshot of a volume, attached or not, once it is available."""
    get(cloud, cid)
    name = f"snapshot-{cloud.new_id()}"
    wanted = {"volume_id": cid, "force": True, "name": name, "metadata": _clean(metadata)}
    doing = f"take a snapshot of the volume '{cid}'"

    def make() -> str:
        body = {"snapshot": wanted}
        answer = cloud.api.send("POST", "volume", "/snapshots", body, doing, repeatable=False)
        return str(answer["snapshot"]["id"])

    def made() -> str | None:
        found = cloud.api.pages("volume", "/snapshots", "snapshots", doing, name=name)
        return str(found[0]["id"]) if found else None

    snapshot_id = cloud.api.make(make, made)

    def ready() -> bool | None:
        found = cloud.api.look("volume", "/snapshots/{}", snapshot_id, f"look at '{name}'")
        status = ((found or {}).get("snapshot") or {}).get("status")
        if status in (None, "error", "deleting"):
            raise CloudError(f"OpenStack could not {doing}", ok_to_retry=True)
        return True if status == "available" else None

    try:
        cloud.api.calls.until(doing, ready, timeout_s=cloud.settings.state_timeout_s)
    except CloudError:
        delete_snapshot(cloud, SnapshotCid(snapshot_id))
        raise
    return SnapshotCid(snapshot_id)


def delete_snapshot(cloud: Cloud, cid: SnapshotCid) -> None:
    """Delete a snapshot and wait until it is gone."""
    try:
        path = at("/snapshots/{}", cid)
    except ApiError:
        return
    try:
        there = cloud.api.delete("volume", path, f"delete the snapshot '{cid}'")
    except ApiError as error:
        found = cloud.api.look("volume", "/snapshots/{}", cid, f"look at the snapshot '{cid}'")
        there = found is not None
        if error.http_status != 400 or (found and found["snapshot"]["status"] != "deleting"):
            raise
    if there:
        _wait_gone(cloud, "snapshot", "/snapshots/{}", cid)

"""Persistent disks outside a deploy: orphaned ones, and by hand."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from director.client.http import Http, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskInfo:
    """An orphaned disk."""

    cid: str
    size_mb: int
    deployment: str
    instance: str
    az: str
    orphaned_at: str


def list_orphans(http: Http) -> list[DiskInfo]:
    """Return the orphaned disks."""
    return [
        DiskInfo(
            cid=str(row["disk_cid"]),
            size_mb=int(row.get("size") or 0),
            deployment=str(row.get("deployment_name") or ""),
            instance=str(row.get("instance_name") or ""),
            az=str(row.get("az") or ""),
            orphaned_at=str(row.get("orphaned_at") or ""),
        )
        for row in http.get_json("/disks")
    ]


def delete_disk(http: Http, cid: str) -> int:
    """Start the deletion of an orphaned disk and return the task."""
    return task_of(http.send("DELETE", f"/disks/{quote(cid, safe='')}"))


def orphan_disk(http: Http, cid: str) -> int:
    """Start orphaning a disk and return the task."""
    return task_of(http.send("DELETE", f"/disks/{quote(cid, safe='')}", params={"orphan": "true"}))


def attach_disk(
    http: Http, deployment: str, *, group: str, instance: str, cid: str, copy_properties: bool
) -> int:
    """Start attaching a disk to an instance (a UUID) and return the task."""
    params = {"deployment": deployment, "instance_id": instance, "job": group}
    if copy_properties:
        params["disk_properties"] = "copy"
    return task_of(http.send("PUT", f"/disks/{quote(cid, safe='')}/attachments", params=params))

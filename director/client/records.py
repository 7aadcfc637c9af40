"""What a director keeps about itself: its facts, locks, audit events, variables; and clean-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from director.client.deployments import path_to
from director.client.http import Http, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorInfo:
    """A director's facts; ``features`` maps each to whether it is on."""

    name: str
    uuid: str
    version: str
    cpi: str
    user: str
    features: Mapping[str, bool]
    stemcell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockInfo:
    """A lock; ``expires_at`` is seconds since the epoch."""

    type: str
    resource: str
    task_id: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInfo:
    """A row of the audit trail; ``timestamp`` is seconds since the epoch."""

    id: str
    parent_id: str
    timestamp: int
    user: str
    action: str
    object_type: str
    object_name: str
    task: str
    deployment: str
    instance: str
    context: Mapping[str, Any]
    error: str


def director_info(http: Http) -> DirectorInfo:
    """Return the director's facts."""
    row = http.get_json("/info")
    parts = (str(row.get("stemcell_os") or "-"), str(row.get("stemcell_version") or "-"))
    return DirectorInfo(
        name=str(row.get("name") or ""),
        uuid=str(row.get("uuid") or ""),
        version=str(row.get("version") or ""),
        cpi=str(row.get("cpi") or ""),
        user=str(row.get("user") or ""),
        features={
            str(name): bool(feature.get("status"))
            for name, feature in (row.get("features") or {}).items()
        },
        stemcell="/".join(parts),
    )


def list_locks(http: Http) -> list[LockInfo]:
    """Return the locks held now."""
    return [
        LockInfo(
            type=str(row["type"]),
            resource=":".join(str(part) for part in row.get("resource") or ()),
            task_id=str(row.get("task_id") or ""),
            expires_at=float(row.get("timeout") or 0),
        )
        for row in http.get_json("/locks")
    ]


def list_events(http: Http, filters: Mapping[str, str]) -> list[EventInfo]:
    """Return the newest audit events that match, newest first."""
    return [
        EventInfo(
            id=str(row["id"]),
            parent_id=str(row.get("parent_id") or ""),
            timestamp=int(row.get("timestamp") or 0),
            user=str(row.get("user") or ""),
            action=str(row.get("action") or ""),
            object_type=str(row.get("object_type") or ""),
            object_name=str(row.get("object_name") or ""),
            task=str(row.get("task") or ""),
            deployment=str(row.get("deployment") or ""),
            instance=str(row.get("instance") or ""),
            context=row.get("context") or {},
            error=str(row.get("error") or ""),
        )
        for row in http.get_json("/events", filters)
    ]


def list_variables(http: Http, deployment: str) -> list[tuple[str, str]]:
    """Return id and name of each variable a deployment uses; values never leave the director."""
    rows = http.get_json(f"{path_to(deployment)}/variables")
    return [(str(row["id"]), str(row["name"])) for row in rows]


def clean_up(http: Http, *, remove_all: bool, keep_orphaned_disks: bool) -> int:
    """Start removing what nothing uses and return the task."""
    config = {"remove_all": remove_all, "keep_orphaned_disks": keep_orphaned_disks}
    return task_of(http.send_json("POST", "/cleanup", {"config": config}))

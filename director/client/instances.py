"""Instances and VMs, as the director sees them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.client.deployments import path_to
from director.client.http import Http, task_of

RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One supervised process of an instance."""

    name: str
    state: str
    uptime_s: int | None = None
    memory_kb: int | None = None
    memory_percent: float | None = None
    cpu_total: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceInfo:
    """One line of the full listing of instances or VMs."""

    group: str
    id: str
    index: int | None
    process_state: str
    state: str
    az: str
    ips: tuple[str, ...]
    vm_cid: str
    vm_type: str
    agent_id: str
    disk_cids: tuple[str, ...]
    bootstrap: bool
    ignore: bool
    active: bool | None
    stemcell: str
    cloud_properties: Any
    created_at: str
    vitals: Mapping[str, Any] = field(default_factory=dict)
    processes: tuple[ProcessInfo, ...] = ()

    @property
    def name(self) -> str:
        """The instance as BOSH names it: ``group/id``."""
        return f"{self.group or '?'}/{self.id}" if self.id else self.group or "?"

    @property
    def is_running(self) -> bool:
        """Whether the instance and all its processes run."""
        return self.process_state == RUNNING and all(
            process.state == RUNNING for process in self.processes
        )

    @property
    def shown_state(self) -> str:
        """The state to show: blank for an instance that runs and has no processes."""
        if self.process_state == RUNNING and not self.processes:
            return ""
        return self.process_state


def list_full(http: Http, deployment: str, kind: str) -> int:
    """Start the listing of ``vms`` or ``instances`` and return its task; see :func:`parse_full`."""
    return task_of(http.send("GET", f"{path_to(deployment)}/{kind}", params={"format": "full"}))


def parse_full(result: str) -> list[InstanceInfo]:
    """Return what a listing's result output says: one JSON object per line."""
    found = (_read(json.loads(line)) for line in result.splitlines() if line.strip())
    return sorted(found, key=lambda info: (info.group, info.index is None, info.index, info.id))


def list_brief(http: Http, deployment: str) -> list[tuple[str, str]]:
    """Return group and id of each instance, from the director's records alone."""
    rows = http.get_json(f"{path_to(deployment)}/instances")
    return [(str(row.get("job")), str(row.get("id"))) for row in rows]


def _read(row: dict[str, Any]) -> InstanceInfo:
    stemcell = row.get("stemcell") or {}
    named = stemcell.get("name") and stemcell.get("version")
    return InstanceInfo(
        group=str(row.get("job_name") or ""),
        id=str(row.get("id") or ""),
        index=row.get("index"),
        process_state=str(row.get("job_state") or ""),
        state=str(row.get("state") or ""),
        az=str(row.get("az") or ""),
        ips=_texts(row.get("ips")),
        vm_cid=str(row.get("vm_cid") or ""),
        vm_type=str(row.get("vm_type") or ""),
        agent_id=str(row.get("agent_id") or ""),
        disk_cids=_texts(row.get("disk_cids")),
        bootstrap=bool(row.get("bootstrap")),
        ignore=bool(row.get("ignore")),
        active=row.get("active"),
        stemcell=f"{stemcell['name']}/{stemcell['version']}" if named else "",
        cloud_properties=row.get("cloud_properties"),
        created_at=str(row.get("vm_created_at") or ""),
        vitals=row.get("vitals") or {},
        processes=tuple(_process(process) for process in row.get("processes") or ()),
    )


def _process(row: dict[str, Any]) -> ProcessInfo:
    memory = row.get("mem") or {}
    return ProcessInfo(
        name=str(row.get("name") or ""),
        state=str(row.get("state") or ""),
        uptime_s=(row.get("uptime") or {}).get("secs"),
        memory_kb=memory.get("kb"),
        memory_percent=memory.get("percent"),
        cpu_total=(row.get("cpu") or {}).get("total"),
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())

"""Tasks: what a director does for us, and what it says about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from director.client.http import Http
from director.model.tasks import RUNNING

_FASTEST_S = 0.02
_SLOWEST_S = 0.5
_SHARE = 0.1
"""How long to wait between looks, as a share of the time waited: it is never late by more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """A task as the director lists it; times are seconds since the epoch."""

    id: int
    state: str
    description: str
    started_at: int | None
    finished_at: int | None
    result: str
    user: str
    deployment: str

    @property
    def is_running(self) -> bool:
        """Whether its state may still change."""
        return self.state in {state.value for state in RUNNING}


def get_task(http: Http, task_id: int) -> TaskInfo:
    """Return one task."""
    return _read(http.get_json(f"/tasks/{task_id}"))


def list_tasks(
    http: Http,
    *,
    recent: int | None = None,
    include_all: bool = False,
    deployment: str | None = None,
) -> list[TaskInfo]:
    """Return the running tasks, or the ``recent`` newest ones; newest first."""
    if recent is None:
        params = {"state": "processing,cancelling,queued", "verbose": "2"}
    else:
        params = {"limit": str(recent), "verbose": "2" if include_all else "1"}
    if deployment:
        params["deployment"] = deployment
    return [_read(row) for row in http.get_json("/tasks", params)]


def cancel_task(http: Http, task_id: int) -> None:
    """Ask a task to stop at its next checkpoint."""
    http.send("DELETE", f"/task/{task_id}")


def read_output(http: Http, task_id: int, kind: str, offset: int = 0) -> bytes:
    """Return a task's output from byte ``offset`` on; empty when there is none (yet)."""
    headers = {"Range": f"bytes={offset}-"} if offset else None
    answer = http.raw("GET", f"/tasks/{task_id}/output", params={"type": kind}, headers=headers)
    if answer.status_code in (204, 416):
        return b""
    if answer.status_code == 206:
        return answer.content
    if answer.status_code == 200:
        return answer.content[offset:]
    http.send("GET", f"/tasks/{task_id}/output", params={"type": kind})
    return b""


def read_result(http: Http, task_id: int) -> str:
    """Return everything a task wrote as its result output."""
    return read_output(http, task_id, "result").decode("utf-8", "replace")


def follow(
    http: Http,
    task_id: int,
    *,
    kind: str,
    on_output: Callable[[bytes], None],
    pause: Callable[[float], None],
) -> TaskInfo:
    """Poll a task until its state is final, handing on its output as it comes; return it.

    ``pause`` waits for as many seconds as it is given; what it raises ends the following. The
    state is read before the output, so that a final state has all output behind it.
    """
    offset = 0
    waited_s = 0.0
    while True:
        task = get_task(http, task_id)
        chunk = read_output(http, task_id, kind, offset)
        if chunk:
            offset += len(chunk)
            on_output(chunk)
        if not task.is_running:
            return task
        wait_s = min(_SLOWEST_S, max(_FASTEST_S, waited_s * _SHARE))
        pause(wait_s)
        waited_s += wait_s


def _read(row: Any) -> TaskInfo:
    return TaskInfo(
        id=int(row["id"]),
        state=str(row["state"]),
        description=str(row.get("description") or ""),
        started_at=row.get("started_at"),
        finished_at=row.get("timestamp"),
        result=str(row.get("result") or ""),
        user=str(row.get("user") or ""),
        deployment=str(row.get("deployment") or ""),
    )

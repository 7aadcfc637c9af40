"""A director that answers from a table, without a process, a socket or a clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from answering import answering

from director.cli.main import run
from director.client.http import Http

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeTask:
    """A task that needs ``polls`` looks until it has the state ``state``."""

    state: str = "done"
    event: str = ""
    result_output: str = ""
    result: str = ""
    polls: int = 0
    cancelled: bool = False


@dataclass
class FakeDirector:
    """Answers requests in the documented JSON and keeps them for the test to look at."""

    answers: dict[str, Any] = field(default_factory=dict)
    tasks: dict[int, FakeTask] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)

    def answer(self, what: str, body: Any, status: int = 200) -> None:
        """Answer ``GET /path`` with JSON; ``body`` may be a function of the request."""
        self.answers[what] = body if callable(body) else lambda _: httpx.Response(status, json=body)

    def starts(self, what: str, **task: Any) -> int:
        """Let a request start a task."""
        number = len(self.tasks) + 1
        self.tasks[number] = FakeTask(**task)
        self.answer(what, lambda _: httpx.Response(303, headers={"Location": f"/tasks/{number}"}))
        return number

    def asked(self, what: str) -> list[httpx.Request]:
        """Return the requests made with this method and path."""
        return [r for r in self.requests if f"{r.method} {r.url.path}" == what]

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        path = request.url.path
        known = self.answers.get(f"{request.method} {path}")
        if known is not None:
            response = known(request)
            assert isinstance(response, httpx.Response)
            return response
        if path.startswith(("/tasks/", "/task/")):
            return self._task(request, path)
        return httpx.Response(404, text=f"Endpoint '{path}' not found.")

    def _task(self, request: httpx.Request, path: str) -> httpx.Response:
        number = int(path.split("/")[2])
        task = self.tasks[number]
        if request.method == "DELETE":
            task.cancelled = True
            return httpx.Response(204)
        if path.endswith("/output"):
            return self._output(request, task)
        state = task.state
        if task.polls > 0:
            task.polls -= 1
            state = "cancelling" if task.cancelled else "processing"
        elif task.cancelled:
            state = "cancelled"
        return httpx.Response(
            200,
            json={
                "id": number,
                "state": state,
                "description": "a task",
                "timestamp": None,
                "started_at": None,
                "result": task.result,
                "user": "admin",
                "deployment": "redis",
                "context_id": "",
            },
        )

    def _output(self, request: httpx.Request, task: FakeTask) -> httpx.Response:
        kind = request.url.params["type"]
        text = {"event": task.event, "result": task.result_output}.get(kind, "").encode()
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        if start:
            return httpx.Response(206 if text[start:] else 416, content=text[start:])
        return httpx.Response(200, content=text)


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def director() -> FakeDirector:
    return FakeDirector()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith(("BOSH_", "DIRECTOR_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def cli(director: FakeDirector, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line against the director that answers from a table."""

    def call(*args: str) -> Ran:
        code = run(args, connect=lambda *_: http_to(director))
        taken = capsys.readouterr()
        return Ran(code, taken.out, taken.err)

    return call


@pytest.fixture
def http(director: FakeDirector) -> Http:
    return http_to(director)


def http_to(director: FakeDirector) -> Http:
    return answering(director.handle)


def event(stage: str, task: str, state: str, **more: Any) -> str:
    """Return one line of a task's event output."""
    line = {
        "time": 1795179798,
        "stage": stage,
        "tags": [],
        "total": 1,
        "task": task,
        "index": 1,
        "state": state,
        "progress": 0,
    }
    return json.dumps({**line, **more}) + "\n"


@pytest.fixture
def events() -> Callable[..., str]:
    return event


@pytest.fixture
def instance_row() -> Callable[..., dict[str, Any]]:
    """Return a line of the full listing, with what a test changes."""

    def row(group: str = "redis", index: int = 0, **more: Any) -> dict[str, Any]:
        return {
            "vm_cid": f"vm-{index}",
            "active": True,
            "vm_created_at": "2026-11-20T12:49:45Z",
            "cloud_properties": {},
            "disk_cid": "disk-1",
            "disk_cids": ["disk-1"],
            "ips": [f"10.244.0.{index + 2}"],
            "agent_id": f"agent-{index}",
            "job_name": group,
            "index": index,
            "job_state": "running",
            "state": "started",
            "vm_type": "small",
            "vitals": {"cpu": {"sys": "1.5", "user": "8.6", "wait": "0.4"}},
            "processes": [
                {
                    "name": "redis",
                    "state": "running",
                    "uptime": {"secs": 3661},
                    "mem": {"kb": 2048, "percent": 0.1},
                    "cpu": {"total": 0.2},
                }
            ],
            "az": "z1",
            "id": f"{index}d70bd1f-5f00-4f00-8f00-0123456789ab",
            "bootstrap": index == 0,
            "ignore": False,
            "stemcell": {"name": "debian-12", "version": "1.2", "api_version": None},
            **more,
        }

    return row


def lines(rows: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def as_lines() -> Callable[..., str]:
    return lines

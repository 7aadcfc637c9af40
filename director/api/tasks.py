"""Tasks: list, look at, read what they say, cancel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from director.api.answers import answer, nothing
from director.api.bodies import with_json
from director.api.context import number, store_of
from director.api.routing import Route
from director.model.errors import BadRequest, TaskNotFound
from director.model.tasks import HOUSEKEEPING_HIDDEN, Task, TaskState
from director.store.outputs import KINDS, Outputs

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
_CANCELLABLE = (TaskState.QUEUED, TaskState.PROCESSING)


def list_tasks(request: Request) -> Response:
    """``GET /tasks``: newest first; see the query's ``state``, ``limit``, ``verbose``."""
    query = request.query_params
    states = query.get("state")
    found = store_of(request).tasks.list(
        states=None if not states else [_state(word) for word in states.split(",")],
        types=None if query.get("verbose", "1") == "2" else HOUSEKEEPING_HIDDEN,
        deployment=query.get("deployment"),
        context_id=query.get("context_id"),
        limit=number(request, "limit"),
    )
    return answer([_show(task) for task in found])


def get_task(request: Request) -> Response:
    """``GET /tasks/{id}``."""
    return answer(_show(store_of(request).tasks.get(_id(request))))


def output(request: Request) -> Response:
    """``GET /tasks/{id}/output?type=``: whole, or from an offset with a ``Range`` of bytes."""
    store, kind = store_of(request), request.query_params.get("type", "debug")
    task = store.tasks.get(_id(request))
    if kind == "none":
        return nothing()
    if kind not in KINDS:
        return JSONResponse({"code": 600000, "description": f"Unknown type {kind}"}, 401)
    size = store.outputs.size(task.id, kind) or 0
    chosen = _range(request.headers.get("range"), size)
    if chosen is None:
        return _stream(store.outputs, task.id, kind, range(size), status=200)
    if len(chosen) == 0:
        if chosen.start == 0:
            return PlainTextResponse("")
        headers = {"Content-Range": f"bytes */{size}"}
        return PlainTextResponse("Byte range unsatisfiable", 416, headers)
    answered = _stream(store.outputs, task.id, kind, chosen, status=206)
    answered.headers["Content-Range"] = f"bytes {chosen.start}-{chosen.stop - 1}/{size}"
    return answered


def plan(request: Request) -> Response:
    """``GET /tasks/{id}/plan``: the plan the task made, as text (not one of BOSH's paths)."""
    store = store_of(request)
    task = store.tasks.get(_id(request))
    made = store.plans.get(task.id)
    if made is None:
        raise TaskNotFound(f"task {task.id} made no plan")
    return answer({"deployment": made.deployment, "plan": made.text})


def cancel(request: Request) -> Response:
    """``DELETE /task/{id}``: ask a task to stop."""
    store = store_of(request)
    task = store.tasks.get(_id(request))
    if not store.tasks.request_cancel(task.id):
        state = store.tasks.get(task.id).state
        return PlainTextResponse(f"Cannot cancel task {task.id}: invalid state ({state})", 400)
    return nothing()


def cancel_many(request: Request, body: dict[str, Any]) -> Response:
    """``POST /tasks/cancel``: ask all tasks of some states, types or a deployment to stop."""
    states = body.get("states") or [TaskState.QUEUED.value]
    allowed = ", ".join(state.value for state in _CANCELLABLE)
    for state in states:
        if state not in [allowed.value for allowed in _CANCELLABLE]:
            text = f"{state} is not one of the cancellable states: {allowed}"
            return PlainTextResponse(text, 400)
    store = store_of(request)
    for task in store.tasks.list(
        states=[TaskState(state) for state in states],
        types=body.get("types"),
        deployment=body.get("deployment"),
    ):
        store.tasks.request_cancel(task.id)
    return nothing()


def _id(request: Request) -> int:
    text = request.path_params["id"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise TaskNotFound(f"Task {text[:40]} not found")
    return int(text)


def _state(word: str) -> TaskState:
    try:
        return TaskState(word.strip())
    except ValueError as error:
        known = ", ".join(state.value for state in TaskState)
        raise BadRequest(f"'{word[:40]}' is not a task state", fix=f"use {known}") from error


def _show(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "state": task.state.value,
        "description": task.description,
        "timestamp": None if task.finished_at is None else int(task.finished_at),
        "started_at": None if task.started_at is None else int(task.started_at),
        "result": task.result,
        "user": task.user,
        "deployment": task.deployment,
        "context_id": task.context_id,
    }


def _range(header: str | None, size: int) -> range | None:
    """Return the bytes asked for (none where there are none), or None for the whole."""
    match = _RANGE.match(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    end = int(match[2]) + 1 if match[2] else size
    return range(int(match[1]), min(end, size))


def _stream(outputs: Outputs, task_id: int, kind: str, chosen: range, *, status: int) -> Response:
    def chunks() -> Iterator[bytes]:
        position = chosen.start
        while position < chosen.stop:
            chunk = outputs.read(task_id, kind, position, chosen.stop - position)
            if not chunk:
                return
            position += len(chunk)
            yield chunk

    headers = {"Content-Length": str(len(chosen)), "Accept-Ranges": "bytes"}
    if len(chosen) < 65536:
        return Response(b"".join(chunks()), status, headers, media_type="text/plain")
    return StreamingResponse(chunks(), status, headers, media_type="text/plain")


ROUTES = [
    Route("/tasks", list_tasks, methods=["GET"]),
    Route("/tasks/cancel", with_json(cancel_many), methods=["POST"]),
    Route("/tasks/{id}", get_task, methods=["GET"]),
    Route("/tasks/{id}/output", output, methods=["GET"]),
    Route("/tasks/{id}/plan", plan, methods=["GET"]),
    Route("/task/{id}", cancel, methods=["DELETE"]),
]

"""The audit trail."""

from __future__ import annotations

import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from director.api.answers import answer
from director.api.context import number, store_of
from director.api.routing import Route
from director.model.errors import BadRequest
from director.model.events import AuditEvent
from director.store.events import EventFilter

_FORMATS = ("%Y-%m-%d %H:%M:%S %Z", "%a %b %d %H:%M:%S %Z %Y", "%a, %d %b %Y %H:%M:%S %Z")


def list_events(request: Request) -> Response:
    """``GET /events``: the newest 200 that match the query, newest first."""
    query = request.query_params
    after = _time(query.get("after_time"), "after_time")
    chosen = EventFilter(
        before_id=number(request, "before_id"),
        before_time=_time(query.get("before_time"), "before_time"),
        after_time=None if after is None else after + 1,
        task=query.get("task"),
        deployment=query.get("deployment"),
        instance=query.get("instance"),
        user=query.get("user"),
        action=query.get("action"),
        object_type=query.get("object_type"),
        object_name=query.get("object_name"),
    )
    return answer([_show(event) for event in store_of(request).events.list(chosen)])


def get_event(request: Request) -> Response:
    """``GET /events/{id}``."""
    text = request.path_params["id"]
    usable = text.isascii() and text.isdigit() and len(text) <= 18
    event = store_of(request).events.get(int(text)) if usable else None
    if event is None:
        return PlainTextResponse("Event not found", 404)
    return answer(_show(event))


def _time(text: str | None, name: str) -> float | None:
    """Read epoch seconds or a date; one without a zone is UTC."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    found: datetime.datetime | None = None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        for format in _FORMATS:
            try:
                found = datetime.datetime.strptime(text, format)
            except ValueError:
                continue
            break
    if found is None:
        raise BadRequest(f"'{name}' is not a time: '{text[:40]}'", fix="use 2026-01-31T12:00:00Z")
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


def _show(event: AuditEvent) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": str(event.id),
        "parent_id": None if event.parent_id is None else str(event.parent_id),
        "timestamp": int(event.timestamp),
        "user": event.user,
        "action": event.action,
        "object_type": event.object_type,
        "object_name": event.object_name,
        "error": event.error,
        "task": event.task,
        "deployment": event.deployment,
        "instance": event.instance,
    }
    shown = {key: value for key, value in row.items() if value not in (None, "")}
    return {**shown, "context": dict(event.context)}


ROUTES = [
    Route("/events", list_events, methods=["GET"]),
    Route("/events/{id}", get_event, methods=["GET"]),
]

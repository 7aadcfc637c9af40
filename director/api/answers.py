"""Answers in the shapes clients expect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from director.api.context import context_id, context_of

OK, CREATED, NO_CONTENT = 200, 201, 204


def answer(data: Any, status: int = OK) -> Response:
    """Return ``data`` as JSON."""
    return JSONResponse(data, status)


def nothing(status: int = NO_CONTENT) -> Response:
    """Return an answer without a body."""
    return Response(status_code=status)


def task(
    request: Request,
    type: str,
    description: str,
    args: Mapping[str, Any],
    *,
    deployment: str | None = None,
) -> Response:
    """Queue a task and redirect to it; the address is relative, as clients need it."""
    context = context_of(request)
    queued = context.queue.enqueue(
        type,
        description,
        user=context.user,
        deployment=deployment,
        context_id=context_id(request),
        args=args,
    )
    status = 302 if request.method == "GET" else 303
    return Response(status_code=status, headers={"Location": f"/tasks/{queued.id}"})


def moment(seconds: float) -> str:
    """Return a time as listings show it: ``2026-11-20 13:10:22 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def rfc3339(seconds: float | None) -> str | None:
    """Return a time as VM listings show it: ``2026-11-20T12:49:45Z``."""
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

"""Locks that are held."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer
from director.api.context import context_of
from director.api.routing import Route

_FORGET_S = 60


def list_locks(request: Request) -> Response:
    """``GET /locks``: by name; long expired ones are left out."""
    world = context_of(request).world
    rows = []
    for lock in world.store.locks.list():
        type, _, resource = lock.name.removeprefix("lock:").partition(":")
        if lock.expires_at < world.now() - _FORGET_S:
            continue
        rows.append(
            {
                "type": type,
                "resource": resource.split(":") if resource else [],
                "timeout": f"{lock.expires_at:f}",
                "task_id": str(lock.task_id),
            }
        )
    return answer(rows)


ROUTES = [Route("/locks", list_locks, methods=["GET"])]

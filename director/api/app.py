"""The HTTP application: all routes, and how errors are told."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from director.api import (
    access,
    clean_up,
    configs,
    deployments,
    disks,
    errands,
    events,
    info,
    instances,
    locks,
    releases,
    stemcells,
    tasks,
    variables,
)
from director.api.context import Context
from director.api.render_error import director_error, http_error, internal_error
from director.execute.world import World
from director.model.errors import DirectorError
from director.tasks.local_queue import LocalQueue

_NOUNS = (
    info,
    tasks,
    stemcells,
    releases,
    configs,
    deployments,
    instances,
    errands,
    access,
    disks,
    clean_up,
    locks,
    events,
    variables,
)


def make_api(
    world: World, queue: LocalQueue, *, user: str, cpi: str = "", version: str = ""
) -> Starlette:
    """Return the application that answers for ``world`` and queues its tasks in ``queue``.

    Every request counts as ``user``'s: whoever reaches the socket is let in.
    """
    app = Starlette(
        routes=[route for noun in _NOUNS for route in noun.ROUTES],
        exception_handlers={
            DirectorError: director_error,
            HTTPException: http_error,
            Exception: internal_error,
        },
    )
    app.router.redirect_slashes = False
    app.state.context = Context(world=world, queue=queue, user=user, cpi=cpi, version=version)
    return app

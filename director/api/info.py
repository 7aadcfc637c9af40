"""What the director is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer
from director.api.context import context_of
from director.api.routing import Route


def info(request: Request) -> Response:
    """``GET /info``: the director's name, UUID, version and features."""
    context = context_of(request)
    return answer(
        {
            "name": context.world.name,
            "uuid": context.world.director_uuid,
            "version": context.version,
            "user": context.user,
            "cpi": context.cpi,
            "stemcell_os": "-",
            "stemcell_version": "-",
            "user_authentication": {"type": "basic", "options": {}},
            "features": {
                "local_dns": {"status": False, "extras": {"domain_name": "bosh"}},
                "snapshots": {"status": False},
                "config_server": {"status": False, "extras": {"urls": []}},
            },
        }
    )


ROUTES = [Route("/info", info, methods=["GET"])]

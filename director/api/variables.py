"""Names of variables; values are never told."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer
from director.api.context import known_deployment, store_of
from director.api.routing import Route


def list_variables(request: Request) -> Response:
    """``GET /deployments/{deployment}/variables``: ids and names."""
    found = store_of(request).variables.list(known_deployment(request).name)
    return answer([{"id": variable.id, "name": variable.name} for variable in found])


ROUTES = [Route("/deployments/{deployment}/variables", list_variables, methods=["GET"])]

"""Stemcells: list, upload, delete."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, task
from director.api.bodies import with_json
from director.api.context import context_of, flag, store_of
from director.api.routing import Route, in_thread
from director.api.uploads import uploaded
from director.model.errors import CloudConfigError


def list_stemcells(request: Request) -> Response:
    """``GET /stemcells``: by name, with the deployments that use them."""
    return answer(stemcell_rows(request))


def stemcell_rows(request: Request) -> list[dict[str, Any]]:
    """Return all stemcells as listings show them."""
    store = store_of(request)
    users: dict[tuple[str, str], list[dict[str, str]]] = {}
    for deployment in store.deployments.list():
        for pair in deployment.stemcells:
            users.setdefault(pair, []).append({"name": deployment.name})
    return [
        {
            "name": stemcell.name,
            "operating_system": stemcell.operating_system,
            "version": stemcell.version,
            "cid": stemcell.cid,
            "cpi": stemcell.cpi,
            "deployments": users.get((stemcell.name, stemcell.version), []),
            "api_version": stemcell.api_version,
            "id": n,
        }
        for n, stemcell in enumerate(store.stemcells.list(), 1)
    ]


def is_needed(request: Request, body: dict[str, Any]) -> Response:
    """``POST /stemcell_uploads``: whether a stemcell is yet to be uploaded, to any CPI."""
    stemcell = body.get("stemcell")
    if not isinstance(stemcell, dict) or not {"name", "version"} <= stemcell.keys():
        raise CloudConfigError("'stemcell' with 'name' and 'version' is required")
    world = context_of(request).world
    config = world.cpi_config()
    copies = world.store.stemcells.copies(str(stemcell["name"]), str(stemcell["version"]))
    there = {config.current(copy.cpi) for copy in copies}
    return answer({"needed": not there.issuperset(config.names)})


async def upload(request: Request) -> Response:
    """``POST /stemcells``: a tarball, or JSON with the location of one."""
    args = {**await uploaded(request), "fix": flag(request, "fix")}
    return await in_thread(task, request, "update_stemcell", "create stemcell", args)


def delete(request: Request) -> Response:
    """``DELETE /stemcells/{name}/{version}``."""
    name, version = request.path_params["name"], request.path_params["version"]
    args = {"name": name, "version": version, "force": flag(request, "force")}
    return task(request, "delete_stemcell", f"delete stemcell: {name}/{version}", args)


ROUTES = [
    Route("/stemcells", list_stemcells, methods=["GET"]),
    Route("/stemcells", upload, methods=["POST"]),
    Route("/stemcells/{name}/{version}", delete, methods=["DELETE"]),
    Route("/stemcell_uploads", with_json(is_needed), methods=["POST"]),
]

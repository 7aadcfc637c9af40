"""Ways into instances: temporary SSH users, logs, and the files tasks leave to be fetched."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from director.api.answers import task
from director.api.bodies import with_json
from director.api.context import context_of, known_deployment, store_of
from director.api.routing import Route
from director.model.errors import BadRequest, InstanceWithoutVm
from director.model.ids import BlobId

_LOG_TYPES = frozenset({"job", "agent", "system"})


def ssh(request: Request, body: dict[str, Any]) -> Response:
    """``POST /deployments/{deployment}/ssh``: make or remove temporary users."""
    deployment = known_deployment(request).name
    command, params, target = body.get("command"), body.get("params"), body.get("target")
    if command not in ("setup", "cleanup"):
        raise BadRequest("'command' must be 'setup' or 'cleanup'")
    if not isinstance(params, dict) or not isinstance(target, dict):
        raise BadRequest("'params' and 'target' must be objects")
    args = {"deployment": deployment, "command": command, "params": params, "target": target}
    description = f"ssh: {command}:{target.get('job') or '*'}"
    return task(request, "ssh", description, args, deployment=deployment)


def logs(request: Request) -> Response:
    """``GET /deployments/{deployment}/jobs/{group}/{id}/logs``: pack logs; ``*`` is all."""
    from director.operations.change_request import select_instances

    deployment = known_deployment(request).name
    group, id = request.path_params["group"], request.path_params["id"]
    kinds = request.query_params.get("type", "job")
    if not set(kinds.split(",")) <= _LOG_TYPES:
        raise BadRequest(f"'{kinds[:40]}' are no logs", fix="use 'job', 'agent' or 'system'")
    recorded = store_of(request).instances.list(deployment)
    chosen = select_instances(recorded, group, None if id == "*" else id)
    if all(instance.vm is None for instance in chosen):
        raise InstanceWithoutVm(f"no instance of '{group}/{id}' has a VM", fix="start it first")
    filters = request.query_params.get("filters", "").replace(",", " ").split()
    args = {
        "deployment": deployment,
        "group": group,
        "id": id,
        "type": kinds,
        "filters": filters,
    }
    return task(request, "fetch_logs", "fetch logs", args, deployment=deployment)


def resource(request: Request) -> Response:
    """``GET /resources/{id}``: a file a task left, by its blob id."""
    id = request.path_params["id"]
    if not id.isalnum() or len(id) > 128:
        return JSONResponse({"code": 100001, "description": "malformed resource id"}, 400)
    path = context_of(request).world.blobs.path(BlobId(id))
    return FileResponse(path, media_type="application/x-gzip")


ROUTES = [
    Route("/deployments/{deployment}/ssh", with_json(ssh), methods=["POST"]),
    Route("/deployments/{deployment}/jobs/{group}/{id}/logs", logs, methods=["GET"]),
    Route("/resources/{id}", resource, methods=["GET"]),
]

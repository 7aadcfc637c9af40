"""Persistent disks by hand. CIDs are decoded before routing and may contain slashes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, moment, task
from director.api.context import flag, store_of
from director.api.routing import Route
from director.model.errors import BadRequest, DeploymentNotFound


def list_orphans(request: Request) -> Response:
    """``GET /disks``: orphaned disks, the newest orphan first."""
    return answer(
        [
            {
                "disk_cid": disk.cid,
                "size": disk.size_mb,
                "az": disk.az or "",
                "deployment_name": disk.deployment,
                "instance_name": disk.instance_name,
                "cloud_properties": dict(disk.cloud_properties),
                "orphaned_at": moment(disk.orphaned_at or 0),
            }
            for disk in store_of(request).disks.orphans()
        ]
    )


def delete(request: Request) -> Response:
    """``DELETE /disks/{cid}``: delete an orphaned disk; with ``orphan=true``, orphan it."""
    cid = request.path_params["cid"]
    if flag(request, "orphan"):
        return task(request, "orphan_disk", "orphan disk", {"cid": cid})
    return task(request, "delete_orphan_disks", "delete orphan disks", {"cids": [cid]})


def attach(request: Request) -> Response:
    """``PUT /disks/{cid}/attachments?deployment=&instance_id=&job=``."""
    query, cid = request.query_params, request.path_params["cid"]
    deployment, instance_id, group = (query.get(k) for k in ("deployment", "instance_id", "job"))
    if not deployment or not instance_id or not group:
        raise BadRequest("'deployment', 'instance_id' and 'job' are required")
    if store_of(request).deployments.get(deployment) is None:
        raise DeploymentNotFound(f"Deployment '{deployment}' doesn't exist")
    args = {
        "deployment": deployment,
        "cid": cid,
        "instance_id": instance_id,
        "group": group,
        "disk_properties": query.get("disk_properties", ""),
    }
    description = f"attach disk '{cid}' to '{group}/{instance_id}'"
    return task(request, "attach_disk", description, args, deployment=deployment)


ROUTES = [
    Route(path, endpoint, methods=[method])
    for base in ("/disks", "/orphan_disks")
    for path, endpoint, method in (
        (base, list_orphans, "GET"),
        (base + "/{cid:path}/attachments", attach, "PUT"),
        (base + "/{cid:path}", delete, "DELETE"),
    )
]

"""Instances and VMs of a deployment."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, rfc3339, task
from director.api.context import known_deployment, store_of
from director.api.routing import Route
from director.model.errors import InstanceNotFound
from director.model.instances import DesiredState, RecordedInstance


def list_instances(request: Request) -> Response:
    """``GET /deployments/{deployment}/instances``; ``format=full`` asks the machines, in a task."""
    name = known_deployment(request).name
    if request.query_params.get("format") == "full":
        return _full(request, name, "instances")
    return answer([_instance(i) for i in store_of(request).instances.list(name)])


def list_vms(request: Request) -> Response:
    """``GET /deployments/{deployment}/vms``; ``format=full`` asks the machines, in a task."""
    name = known_deployment(request).name
    if request.query_params.get("format") == "full":
        return _full(request, name, "vms")
    rows = [
        {**_instance(i), "active": True, "permanent_nats_credentials": False}
        for i in store_of(request).instances.list(name)
        if i.vm is not None
    ]
    for row in rows:
        del row["expects_vm"]
    return answer(rows)


def get_instance(request: Request) -> Response:
    """``GET /deployments/{deployment}/jobs/{group}/{id}``: one instance and its disks."""
    name, group = known_deployment(request).name, request.path_params["group"]
    id = request.path_params["id"]
    for instance in store_of(request).instances.list(name):
        if instance.group == group and id in (instance.id, str(instance.index)):
            return answer(
                {
                    "deployment": name,
                    "job": group,
                    "index": instance.index,
                    "id": instance.id,
                    "state": instance.state.value,
                    "disks": [disk.cid for disk in instance.disks if disk.cid],
                }
            )
    raise InstanceNotFound(f"Instance '{group}/{id}' doesn't exist")


def _full(request: Request, deployment: str, kind: str) -> Response:
    args = {"deployment": deployment, "kind": kind}
    return task(request, "vms", "retrieve vm-stats", args, deployment=deployment)


def _instance(instance: RecordedInstance) -> dict[str, Any]:
    vm = instance.vm
    return {
        "agent_id": vm.agent_id if vm else None,
        "cid": vm.cid if vm else None,
        "job": instance.group,
        "index": instance.index,
        "id": instance.id,
        "az": instance.az,
        "ips": list(vm.ips) if vm else [],
        "vm_created_at": rfc3339(vm.created_at) if vm else None,
        "expects_vm": instance.state is not DesiredState.DETACHED,
    }


_ONE = "/deployments/{deployment}"
ROUTES = [
    Route(f"{_ONE}/instances", list_instances, methods=["GET"]),
    Route(f"{_ONE}/vms", list_vms, methods=["GET"]),
    Route(f"{_ONE}/jobs/{{group}}/{{id}}", get_instance, methods=["GET"]),
]

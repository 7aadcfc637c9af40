"""Errands: list, run."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, task
from director.api.bodies import with_json
from director.api.context import known_deployment, store_of
from director.api.documents import read_mapping
from director.api.routing import Route
from director.model.errors import BadRequest
from director.model.records import DeploymentRecord
from director.store.store import Store


def list_errands(request: Request) -> Response:
    """``GET /deployments/{deployment}/errands``: groups, then jobs with ``bin/run``."""
    names = _errands(store_of(request), known_deployment(request))
    return answer([{"name": name} for name in names])


def run(request: Request, body: dict[str, Any]) -> Response:
    """``POST /deployments/{deployment}/errands/{errand}/runs``."""
    deployment, errand = known_deployment(request).name, request.path_params["errand"]
    instances = body.get("instances") or []
    if not isinstance(instances, list) or not all(_is_choice(choice) for choice in instances):
        raise BadRequest("'instances' must be a list of {'group': ..., 'id': ...}")
    args = {
        "deployment": deployment,
        "errand": errand,
        "keep_alive": body.get("keep-alive") is True,
        "when_changed": body.get("when-changed") is True,
        "instances": instances,
    }
    description = f"run errand {errand} from deployment {deployment}"
    return task(request, "run_errand", description, args, deployment=deployment)


def _is_choice(choice: Any) -> bool:
    return (
        isinstance(choice, dict)
        and isinstance(choice.get("group"), str)
        and isinstance(choice.get("id", ""), str)
    )


def _errands(store: Store, record: DeploymentRecord) -> list[str]:
    if record.manifest is None:
        return []
    data = read_mapping(record.manifest, "manifest")
    groups = data.get("instance_groups") or []
    found = [group["name"] for group in groups if group.get("lifecycle") == "errand"]
    versions = dict(record.releases)
    releases = {name: store.releases.get(name, version) for name, version in versions.items()}
    for group in groups:
        for use in group.get("jobs") or ():
            release = releases.get(use.get("release"))
            job = release.jobs.get(use.get("name")) if release else None
            if job is not None and job.is_errand:
                found.append(job.name)
    return [*dict.fromkeys(found)]


_ERRANDS = "/deployments/{deployment}/errands"
ROUTES = [
    Route(_ERRANDS, list_errands, methods=["GET"]),
    Route(f"{_ERRANDS}/{{errand}}/runs", with_json(run), methods=["POST"]),
]

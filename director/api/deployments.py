"""Deployments: list, look at, compare, deploy, change, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, task
from director.api.bodies import with_text
from director.api.context import flag, known_deployment, store_of
from director.api.deployment_diff import cloud_config_ids, compare
from director.api.documents import read_document
from director.api.routing import Route
from director.model.errors import BadRequest, DirectorError, ManifestError, NotSupported
from director.model.records import ConfigRecord, DeploymentRecord

if TYPE_CHECKING:
    from director.manifest.located_yaml import Located

_FLAGS = ("recreate", "fix", "dry_run", "recreate_persistent_disks", "force_latest_variables")
_TEXTS = ("skip_drain", "canaries", "max_in_flight")
STATES = ("started", "stopped", "detached", "restart", "recreate")


def list_deployments(request: Request) -> Response:
    """``GET /deployments``: by name; ``exclude_*=true`` leaves parts out."""
    store = store_of(request)
    current = [] if flag(request, "exclude_configs") else store.configs.list(type="cloud")
    locked = set() if flag(request, "exclude_lock") else {lock.name for lock in store.locks.list()}
    rows: list[dict[str, Any]] = []
    for record in store.deployments.list():
        row: dict[str, Any] = {"name": record.name, "teams": []}
        if not flag(request, "exclude_configs"):
            row["cloud_config"] = _freshness(record, current)
        if not flag(request, "exclude_stemcells"):
            row["stemcells"] = [{"name": n, "version": v} for n, v in record.stemcells]
        if not flag(request, "exclude_releases"):
            row["releases"] = [{"name": n, "version": v} for n, v in sorted(record.releases)]
        if not flag(request, "exclude_lock"):
            row["locked"] = f"lock:deployment:{record.name}" in locked
        rows.append(row)
    return answer(rows)


def get_deployment(request: Request) -> Response:
    """``GET /deployments/{deployment}``: the manifest as last submitted."""
    return answer({"manifest": known_deployment(request).manifest})


def deployment_configs(request: Request) -> Response:
    """``GET /deployment_configs?deployment[]=``: which configs deployments use."""
    store = store_of(request)
    wanted = request.query_params.getlist("deployment[]")
    rows: list[dict[str, Any]] = []
    for record in store.deployments.list():
        if wanted and record.name not in wanted:
            continue
        for id in record.cloud_config_ids:
            config = store.configs.get(id)
            if config is not None:
                shown = {"id": id, "type": config.type, "name": config.name}
                rows.append({"id": len(rows) + 1, "deployment": record.name, "config": shown})
    return answer(rows)


def diff(request: Request, text: str) -> Response:
    """``POST /deployments/{deployment}/diff``: what a manifest would change."""
    store = store_of(request)
    try:
        manifest = read_document(text, "manifest")
        redact = request.query_params.get("redact", "true") != "false"
        lines = compare(
            store, request.path_params["deployment"], dict(manifest.data), redact=redact
        )
    except DirectorError as error:
        return answer({"diff": [], "error": f"Unable to diff manifest: {error}"})
    ids = cloud_config_ids(store)
    context = {"cloud_config_ids": ids, "runtime_config_ids": []}
    return answer({"context": context, "diff": lines})


def deploy(request: Request, text: str) -> Response:
    """``POST /deployments``: bring a deployment to what its manifest says."""
    name = _name(read_document(text, "manifest"))
    args = {"manifest": text, "options": _options(request), **_pinned(request)}
    return task(request, "update_deployment", _description(request), args, deployment=name)


def change_state(request: Request, text: str) -> Response:
    """``PUT /deployments/{deployment}/jobs/{group}[/{id}]?state=``: start, stop, restart..."""
    from director.operations.change_request import select_instances

    record = known_deployment(request)
    state = request.query_params.get("state", "")
    if state not in STATES:
        raise BadRequest(f"'{state[:40]}' is not a state", fix=f"use one of {', '.join(STATES)}")
    if text.strip():
        raise NotSupported(
            "a manifest cannot be sent with a change of state",
            fix="deploy the manifest first, then change the state",
        )
    group, id = request.path_params["group"], request.path_params.get("id")
    instances = store_of(request).instances.list(record.name)
    select_instances(instances, group, id)
    change = {"state": state, "group": group, "id": id}
    args = {"manifest": None, "options": _options(request), "change": change}
    return task(request, "update_deployment", _description(request), args, deployment=record.name)


def isolated_action(request: Request) -> Response:
    """``POST .../instance_groups/{group}/{id}/actions/{action}``: not there yet."""
    known_deployment(request)
    raise NotSupported(
        f"'{request.path_params['action']}' of one instance without converging is not supported",
        fix="leave out --no-converge",
    )


def delete(request: Request) -> Response:
    """``DELETE /deployments/{deployment}``."""
    name = known_deployment(request).name
    args = {"name": name, "force": flag(request, "force")}
    description = f"delete deployment {name}"
    return task(request, "delete_deployment", description, args, deployment=name)


def _name(manifest: Located) -> str:
    name = manifest.data.get("name")
    if not isinstance(name, str) or not name:
        raise ManifestError(
            "the manifest has no 'name'" if name is None else "the manifest's 'name' is not text",
            where=manifest.where(("name",)),
            fix="name the deployment: 'name: my-deployment'",
        )
    return name


def _options(request: Request) -> dict[str, Any]:
    query = request.query_params
    options: dict[str, Any] = {name: flag(request, name) for name in _FLAGS}
    options.update({name: query[name] for name in _TEXTS if query.get(name)})
    if query.get("recreate_vms_created_before"):
        raise NotSupported("'recreate_vms_created_before' is not supported")
    return options


def _pinned(request: Request) -> dict[str, Any]:
    """Return the configs a diff was made with, so that the deploy uses what was shown."""
    text = request.query_params.get("context")
    if not text:
        return {}
    try:
        ids = json.loads(text).get("cloud_config_ids", [])
        known = [store_of(request).configs.get(int(id)) for id in ids]
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise BadRequest("'context' is not what a diff answered") from error
    if None in known:
        raise BadRequest("'context' names a config that does not exist", fix="look at a new diff")
    return {"cloud_config_ids": [config.id for config in known if config is not None]}


def _description(request: Request) -> str:
    return "create deployment" + (" (dry run)" if flag(request, "dry_run") else "")


def _freshness(record: DeploymentRecord, current: list[ConfigRecord]) -> str:
    if not record.cloud_config_ids:
        return "none"
    latest = {config.id for config in current}
    return "latest" if set(record.cloud_config_ids) == latest else "outdated"


_ONE = "/deployments/{deployment}"
ROUTES = [
    Route("/deployments", list_deployments, methods=["GET"]),
    Route("/deployments", with_text(deploy), methods=["POST"]),
    Route("/deployment_configs", deployment_configs, methods=["GET"]),
    Route(_ONE, get_deployment, methods=["GET"]),
    Route(_ONE, delete, methods=["DELETE"]),
    Route(f"{_ONE}/diff", with_text(diff), methods=["POST"]),
    Route(f"{_ONE}/jobs/{{group}}", with_text(change_state), methods=["PUT"]),
    Route(f"{_ONE}/jobs/{{group}}/{{id}}", with_text(change_state), methods=["PUT"]),
    Route(
        f"{_ONE}/instance_groups/{{group}}/{{id}}/actions/{{action}}",
        isolated_action,
        methods=["POST"],
    ),
]

"""Deployments: list, compare, deploy, change, delete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from director.client.http import Http, Refusal, decode, task_of

DiffLines = Sequence[tuple[str, str | None]]
"""Lines of a difference with ``added``, ``removed`` or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentInfo:
    """A deployment as listed; releases and stemcells are ``name/version``."""

    name: str
    releases: tuple[str, ...] = ()
    stemcells: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    cloud_config: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestDiff:
    """What a manifest would change, and the configs it was compared with."""

    lines: DiffLines
    context: Mapping[str, Any] | None = None
    error: str = ""


def path_to(deployment: str) -> str:
    """Return the path of one deployment."""
    return f"/deployments/{quote(deployment, safe='')}"


def list_deployments(http: Http) -> list[DeploymentInfo]:
    """Return all deployments, by name."""
    return [
        DeploymentInfo(
            name=str(row["name"]),
            releases=_slugs(row.get("releases")),
            stemcells=_slugs(row.get("stemcells")),
            teams=tuple(str(team) for team in row.get("teams") or ()),
            cloud_config=str(row.get("cloud_config") or ""),
        )
        for row in http.get_json("/deployments")
    ]


def deployed_manifest(http: Http, deployment: str) -> str:
    """Return the manifest as last submitted; empty where the deployment was never deployed."""
    return str(http.get_json(path_to(deployment)).get("manifest") or "")


def diff_manifest(http: Http, deployment: str, text: str, *, redact: bool) -> ManifestDiff:
    """Compare ``text`` with what is deployed; a director without this call changes nothing."""
    path = f"{path_to(deployment)}/diff"
    params = {"redact": "true" if redact else "false"}
    try:
        body = decode(http.send_yaml("POST", path, text, params))
    except Refusal as refused:
        if refused.http_status == 404 and refused.remote_code is None:
            return ManifestDiff(lines=())
        raise
    return ManifestDiff(
        lines=diff_lines(body),
        context=body.get("context"),
        error=str(body.get("error") or ""),
    )


def diff_lines(body: Any) -> DiffLines:
    """Return the lines of an answer that has a ``diff``."""
    return [(str(text), mark if mark else None) for text, mark in body.get("diff") or ()]


def deploy(
    http: Http, text: str, *, options: Mapping[str, str], context: Mapping[str, Any] | None
) -> int:
    """Start a deploy and return its task; ``options`` are the query's (``recreate``: ``true``)."""
    params = dict(options)
    if context is not None:
        params["context"] = json.dumps(context)
    return task_of(http.send_yaml("POST", "/deployments", text, params))


def delete_deployment(http: Http, deployment: str, *, force: bool) -> int:
    """Start the deletion of a deployment and return its task."""
    params = {"force": "true"} if force else None
    return task_of(http.send("DELETE", path_to(deployment), params=params))


def change_state(
    http: Http,
    deployment: str,
    *,
    group: str | None,
    instance: str | None,
    state: str,
    options: Mapping[str, str],
) -> int:
    """Converge a deployment, a group or an instance to ``state`` and return the task."""
    path = f"{path_to(deployment)}/jobs/{quote(group, safe='') if group else '*'}"
    if instance is not None:
        path += f"/{quote(instance, safe='')}"
    return task_of(http.send_yaml("PUT", path, "", {"state": state, **options}))


def act_on_instance(
    http: Http,
    deployment: str,
    *,
    group: str,
    instance: str,
    action: str,
    options: Mapping[str, str],
) -> int:
    """Start, stop, restart or recreate one instance without converging; return the task."""
    path = f"{path_to(deployment)}/instance_groups/{quote(group, safe='')}"
    path += f"/{quote(instance, safe='')}/actions/{action}"
    return task_of(http.send_yaml("POST", path, "", options))


def _slugs(rows: Any) -> tuple[str, ...]:
    return tuple(f"{row['name']}/{row['version']}" for row in rows or ())

"""Errands: list and run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from director.client.deployments import path_to
from director.client.http import Http, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandResult:
    """What an errand did on one instance; ``logs_blob`` is empty where no logs were kept."""

    instance: str
    exit_code: int
    stdout: str
    stderr: str
    logs_blob: str
    logs_digest: str


def list_errands(http: Http, deployment: str) -> list[str]:
    """Return the names of a deployment's errands."""
    return [str(row["name"]) for row in http.get_json(f"{path_to(deployment)}/errands")]


def run_errand(
    http: Http,
    deployment: str,
    errand: str,
    *,
    keep_alive: bool,
    when_changed: bool,
    instances: Sequence[Mapping[str, str]],
) -> int:
    """Start an errand and return its task; its result output is for :func:`parse_results`."""
    body = {"keep-alive": keep_alive, "when-changed": when_changed, "instances": list(instances)}
    path = f"{path_to(deployment)}/errands/{quote(errand, safe='')}/runs"
    return task_of(http.send_json("POST", path, body))


def parse_results(output: str) -> list[ErrandResult]:
    """Return the results in an errand task's output: JSON objects, one after another."""
    decoder = json.JSONDecoder()
    found: list[ErrandResult] = []
    rest = output.strip()
    while rest:
        row, end = decoder.raw_decode(rest)
        found.append(_read(row))
        rest = rest[end:].lstrip()
    return found


def _read(row: dict[str, Any]) -> ErrandResult:
    instance = row.get("instance") or {}
    logs = row.get("logs") or {}
    return ErrandResult(
        instance=f"{instance.get('group', '')}/{instance.get('id', '')}",
        exit_code=int(row.get("exit_code") or 0),
        stdout=str(row.get("stdout") or ""),
        stderr=str(row.get("stderr") or ""),
        logs_blob=str(logs.get("blobstore_id") or ""),
        logs_digest=str(logs.get("sha1") or ""),
    )

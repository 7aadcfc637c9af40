"""Ways into instances: temporary SSH users, and logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from director.client.deployments import path_to
from director.client.http import Http, task_of
from director.model.errors import DirectorRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHost:
    """An instance with a temporary user on it."""

    group: str
    id: str
    address: str
    host_public_key: str
    gateway_user: str = ""
    gateway_host: str = ""

    @property
    def name(self) -> str:
        """The instance as BOSH names it."""
        return f"{self.group}/{self.id}"


def set_up_ssh(
    http: Http,
    deployment: str,
    *,
    group: str | None,
    instance: str | None,
    user: str,
    public_key: str,
) -> int:
    """Start making a temporary user on the instances; the task's result is for parse_hosts."""
    params = {"user": user, "public_key": public_key}
    return _ssh(http, deployment, "setup", params, group, instance)


def clean_up_ssh(
    http: Http, deployment: str, *, group: str | None, instance: str | None, user: str
) -> int:
    """Start removing the temporary user and return the task."""
    return _ssh(http, deployment, "cleanup", {"user_regex": f"^{user}"}, group, instance)


def parse_hosts(result: str) -> list[SshHost]:
    """Return the hosts of a set-up's result; raises DirectorRefused where one failed or none is."""
    rows = json.loads(result or "[]")
    if not rows:
        raise DirectorRefused(
            "no instance matches", fix="name an instance that 'director instances' lists"
        )
    for row in rows:
        if row.get("status") != "success":
            name = f"{row.get('job', '?')}/{row.get('id', '?')}"
            raise DirectorRefused(f"the temporary user on '{name}' could not be made")
    return [
        SshHost(
            group=str(row.get("job") or ""),
            id=str(row.get("id") or row.get("index") or ""),
            address=str(row.get("ip") or ""),
            host_public_key=str(row.get("host_public_key") or ""),
            gateway_user=str(row.get("gateway_user") or ""),
            gateway_host=str(row.get("gateway_host") or ""),
        )
        for row in rows
    ]


def fetch_logs(
    http: Http,
    deployment: str,
    *,
    group: str | None,
    instance: str | None,
    kind: str,
    filters: Sequence[str],
) -> int:
    """Start packing logs and return the task; its one-line result names the file to download."""
    path = f"{path_to(deployment)}/jobs/{quote(group, safe='') if group else '*'}"
    path += f"/{quote(instance, safe='') if instance else '*'}/logs"
    params = {"type": kind, **({"filters": ",".join(filters)} if filters else {})}
    return task_of(http.send("GET", path, params=params))


def download_resource(http: Http, blob: str, target: Path) -> None:
    """Download a stored file; ``target`` appears only when it is complete."""
    http.download(f"/resources/{quote(blob, safe='')}", target)


def _ssh(
    http: Http,
    deployment: str,
    command: str,
    params: dict[str, str],
    group: str | None,
    instance: str | None,
) -> int:
    target: dict[str, object] = {"ids": [instance] if instance else []}
    target["indexes"] = target["ids"]
    if group:
        target["job"] = group
    body = {
        "command": command,
        "deployment_name": deployment,
        "params": params,
        "target": target,
    }
    return task_of(http.send_json("POST", f"{path_to(deployment)}/ssh", body))

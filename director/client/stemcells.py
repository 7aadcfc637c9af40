"""Stemcells: list, upload, delete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from director.client.http import Http, decode, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StemcellInfo:
    """A stemcell as listed, once per CPI that has it."""

    name: str
    version: str
    operating_system: str
    cpi: str
    cid: str
    deployments: tuple[str, ...]


def list_stemcells(http: Http) -> list[StemcellInfo]:
    """Return all stemcells, by name."""
    return [
        StemcellInfo(
            name=str(row["name"]),
            version=str(row["version"]),
            operating_system=str(row.get("operating_system") or ""),
            cpi=str(row.get("cpi") or ""),
            cid=str(row.get("cid") or ""),
            deployments=tuple(str(user["name"]) for user in row.get("deployments") or ()),
        )
        for row in http.get_json("/stemcells")
    ]


def stemcell_needed(http: Http, name: str, version: str) -> bool:
    """Tell whether the director lacks a stemcell."""
    body = {"stemcell": {"name": name, "version": version}}
    return bool(decode(http.send_json("POST", "/stemcell_uploads", body)).get("needed", True))


def upload_stemcell(http: Http, tarball: Path, *, fix: bool) -> int:
    """Send a stemcell tarball and return the task that reads it."""
    return task_of(http.send_archive("/stemcells", tarball, {"fix": "true"} if fix else None))


def upload_stemcell_url(http: Http, location: str, *, digest: str | None, fix: bool) -> int:
    """Let the director download a stemcell and return the task."""
    body = {"location": location, **({"sha1": digest} if digest else {})}
    return task_of(http.send_json("POST", "/stemcells", body, {"fix": "true"} if fix else None))


def delete_stemcell(http: Http, name: str, version: str, *, force: bool) -> int:
    """Start the deletion of a stemcell and return the task."""
    path = f"/stemcells/{quote(name, safe='')}/{quote(version, safe='')}"
    return task_of(http.send("DELETE", path, params={"force": "true"} if force else None))

"""Releases: list, upload, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from director.client.http import Http, Refusal, decode, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseInfo:
    """One version of a release as listed."""

    name: str
    version: str
    commit_hash: str
    uncommitted_changes: bool
    deployed: bool


def list_releases(http: Http) -> list[ReleaseInfo]:
    """Return all versions of all releases: by name, then oldest version first."""
    return [
        ReleaseInfo(
            name=str(row["name"]),
            version=str(version["version"]),
            commit_hash=str(version.get("commit_hash") or ""),
            uncommitted_changes=bool(version.get("uncommitted_changes")),
            deployed=bool(version.get("currently_deployed")),
        )
        for row in http.get_json("/releases")
        for version in row["release_versions"]
    ]


def release_fingerprints(http: Http, name: str, version: str) -> frozenset[tuple[str, str]] | None:
    """Return (name, fingerprint) of a version's jobs and packages; None where it is not there."""
    try:
        body = http.get_json(f"/releases/{quote(name, safe='')}", {"version": version})
    except Refusal as refused:
        if refused.http_status == 404:
            return None
        raise
    return frozenset(
        (str(entry["name"]), str(entry["fingerprint"]))
        for kind in ("jobs", "packages")
        for entry in body.get(kind) or ()
    )


def known_packages(http: Http, manifest: str) -> frozenset[str]:
    """Return the fingerprints of a release manifest's packages that need not be sent.

    A director that cannot tell is sent everything.
    """
    try:
        body = decode(http.send_yaml("POST", "/packages/matches", manifest))
    except Refusal:
        return frozenset()
    return frozenset(str(fingerprint) for fingerprint in body)


def upload_release(http: Http, tarball: Path, *, rebase: bool, fix: bool) -> int:
    """Send a release tarball and return the task that reads it."""
    return task_of(http.send_archive("/releases", tarball, _flags(rebase=rebase, fix=fix)))


def upload_release_url(
    http: Http, location: str, *, digest: str | None, rebase: bool, fix: bool
) -> int:
    """Let the director download a release and return the task."""
    body = {"location": location, **({"sha1": digest} if digest else {})}
    params = _flags(rebase=rebase, fix=fix)
    return task_of(http.send_json("POST", "/releases", body, params))


def delete_release(http: Http, name: str, version: str | None, *, force: bool) -> int:
    """Start the deletion of one version or of all, and return the task."""
    params = {"version": version} if version else {}
    if force:
        params["force"] = "true"
    return task_of(http.send("DELETE", f"/releases/{quote(name, safe='')}", params=params))


def _flags(**flags: bool) -> Mapping[str, str]:
    return {name: "true" for name, given in flags.items() if given}

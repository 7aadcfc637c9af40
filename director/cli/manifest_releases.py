"""The releases a manifest brings along: built, uploaded, and named by their versions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from director.cli.document import Document
from director.cli.release_upload import Wanted, upload
from director.cli.session import Session
from director.model.errors import ManifestError

_FLOATING = ("create", "latest", None)


def brought_along(data: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the releases of a manifest that have a URL or are to be created, with their place."""
    releases = data.get("releases") if isinstance(data, Mapping) else None
    return [
        (place, release)
        for place, release in enumerate(releases if isinstance(releases, list) else [])
        if isinstance(release, Mapping)
        and (release.get("url") or release.get("version") == "create")
    ]


def upload_releases(session: Session, document: Document, *, fix: bool) -> Any:
    """Upload what the manifest brings along; return its data with the versions this gave.

    A ``file://`` location says nothing to a director and is left out of what is sent.
    """
    data = copy.deepcopy(document.data)
    for place, release in brought_along(data):
        where = document.located.where(("releases", place))
        if not release.get("url"):
            raise ManifestError(
                f"release '{release.get('name')}' has the version 'create' and no url",
                where=where,
                fix="add 'url: file://DIRECTORY' of the release",
            )
        found = upload(session, _wanted(document, release, fix=fix))
        entry = data["releases"][place]
        if found and found[0] != str(release.get("name")):
            raise ManifestError(
                f"the release at '{release['url']}' is called '{found[0]}', "
                f"not '{release.get('name')}'",
                where=where,
                fix="correct the name or the url",
            )
        if found:
            entry["version"] = found[1]
        _leave_out_paths(entry)
    return data


def planned_releases(document: Document) -> tuple[Any, list[str]]:
    """Return the data with nothing uploaded, and the names this holds back: for a dry run."""
    data = copy.deepcopy(document.data)
    held: list[str] = []
    for place, release in brought_along(data):
        entry = data["releases"][place]
        held.append(str(release.get("name")))
        if entry.get("version") == "create":
            entry["version"] = "latest"
        _leave_out_paths(entry)
    return data, held


def _leave_out_paths(entry: dict[str, Any]) -> None:
    if urlsplit(str(entry.get("url"))).scheme in ("", "file"):
        entry.pop("url", None)
        entry.pop("sha1", None)


def _wanted(document: Document, release: Mapping[str, Any], *, fix: bool) -> Wanted:
    version = release.get("version")
    base = Path.cwd() if document.path == "-" else Path(document.path).absolute().parent
    return Wanted(
        location=str(release["url"]),
        base=base,
        name=str(release["name"]) if release.get("name") else None,
        version=None if version in _FLOATING else str(version),
        digest=str(release["sha1"]) if release.get("sha1") else None,
        fix=fix,
    )

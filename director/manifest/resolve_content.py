"""Finds the releases and stemcells a manifest uses among the uploaded ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from director.manifest.lookup import Lookup
from director.manifest.suggest import nearest, quoted
from director.model.errors import ReleaseNotFound, ReleaseVersionNotFound, StemcellNotFound
from director.model.manifest import ReleaseUse, StemcellUse
from director.model.release import Release
from director.model.source import Path
from director.model.stemcell import Stemcell
from director.model.versions import pick, version_key


def resolve_releases(
    lookup: Lookup, uses: Sequence[ReleaseUse], releases: Sequence[Release]
) -> dict[str, Release]:
    """Return the releases by name; one that is not uploaded is noted and left out."""
    found = {}
    for n, use in enumerate(uses):
        named = {release.version: release for release in releases if release.name == use.name}
        path: Path = ("releases", n)
        # The command line has uploaded a created release by now, and written its version.
        version = pick("latest" if use.version == "create" else use.version, named)
        if version is not None:
            found[use.name] = named[version]
        elif named:
            what = f"release '{use.name}' has no version '{use.version}'"
            fix = f"use {_versions(named)}, or upload that version: director upload-release"
            lookup.add(what, (*path, "version"), fix, kind=ReleaseVersionNotFound)
        else:
            what = f"release '{use.name}' is not uploaded"
            fix = _upload("director upload-release", use.name, (r.name for r in releases))
            lookup.add(what, (*path, "name"), fix, kind=ReleaseNotFound)
    return found


def resolve_stemcells(
    lookup: Lookup, uses: Sequence[StemcellUse], stemcells: Sequence[Stemcell]
) -> dict[str, tuple[Stemcell, ...]]:
    """Return all copies of each stemcell, by alias; one that is not uploaded is noted and left out.

    With ``os`` the copies may have several names: each cloud has images of its own.
    """
    found = {}
    for n, use in enumerate(uses):
        key, wanted = ("os", use.os) if use.os is not None else ("name", use.name)
        by_value: dict[str, list[Stemcell]] = {}
        for stemcell in stemcells:
            value = stemcell.operating_system if key == "os" else stemcell.name
            by_value.setdefault(value, []).append(stemcell)
        candidates = by_value.get(str(wanted), [])
        version = pick(use.version, [stemcell.version for stemcell in candidates])
        path: Path = ("stemcells", n)
        upload = "director upload-stemcell"
        if version is not None:
            same = [stemcell for stemcell in candidates if stemcell.version == version]
            found[use.alias] = tuple(sorted(same, key=lambda copy: (copy.cpi, copy.name)))
        elif candidates:
            what = f"no stemcell with the {key} '{wanted}' has the version '{use.version}'"
            fix = f"use {_versions([s.version for s in candidates])}, or upload that one: {upload}"
            lookup.add(what, (*path, "version"), fix, kind=StemcellNotFound)
        else:
            what = f"no stemcell with the {key} '{wanted}' is uploaded"
            fix = _upload(upload, str(wanted), by_value)
            lookup.add(what, (*path, key), fix, kind=StemcellNotFound)
    return found


def _upload(command: str, name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"upload it: {command}" if near is None else f"did you mean '{near}'? Else run {command}"


def _versions(versions: Mapping[str, Release] | Sequence[str]) -> str:
    return quoted(sorted(set(versions), key=version_key, reverse=True))

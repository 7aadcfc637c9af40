"""``release.MF``: what a release tarball says it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from director.model.errors import DirectorError, ReleaseInvalid, raise_all
from director.release.document import name_in, names_in, read_mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job, package or compiled package. ``needs`` are the packages a job uses or the packages a
    package depends on; ``stemcell`` is ``os/version`` of a compiled package, else empty."""

    name: str
    fingerprint: str
    digest: str
    version: str = ""
    needs: tuple[str, ...] = ()
    stemcell: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseManifest:
    """All of ``release.MF``."""

    name: str
    version: str
    commit_hash: str = ""
    uncommitted_changes: bool = False
    jobs: tuple[Entry, ...] = ()
    packages: tuple[Entry, ...] = ()
    compiled_packages: tuple[Entry, ...] = ()
    license: Entry | None = None


def read_release_manifest(text: str, file: str = "release.MF") -> ReleaseManifest:
    """Read ``release.MF``; raises ReleaseInvalid for all that is wrong with it, at once.

    Packages must be listed that jobs use and packages depend on, and depend on none in a circle.
    """
    data = read_mapping(text, file)
    commit = data.get("commit_hash")
    license_ = data.get("license")
    manifest = ReleaseManifest(
        name=name_in(data.get("name"), f"{file}: release name"),
        version=name_in(data.get("version"), f"{file}: release version"),
        commit_hash="" if commit is None else str(commit),
        uncommitted_changes=data.get("uncommitted_changes") is True,
        jobs=_entries(data, "jobs", "packages", file),
        packages=_entries(data, "packages", "dependencies", file),
        compiled_packages=_entries(data, "compiled_packages", "dependencies", file),
        license=_entry(license_, "license", "", file) if isinstance(license_, dict) else None,
    )
    raise_all(_reference_errors(manifest))
    return manifest


def write_release_manifest(manifest: ReleaseManifest) -> str:
    """Return the YAML text of ``manifest``."""
    data: dict[str, Any] = {
        "name": manifest.name,
        "version": manifest.version,
        "commit_hash": manifest.commit_hash,
        "uncommitted_changes": manifest.uncommitted_changes,
        "jobs": [_plain(job, "packages") for job in manifest.jobs],
    }
    if manifest.packages or not manifest.compiled_packages:
        data["packages"] = [_plain(package, "dependencies") for package in manifest.packages]
    if manifest.compiled_packages:
        data["compiled_packages"] = [_plain(p, "dependencies") for p in manifest.compiled_packages]
    if manifest.license is not None:
        data["license"] = {
            key: value
            for key, value in _plain(manifest.license, "").items()
            if key in ("version", "fingerprint", "sha1")
        }
    return yaml.safe_dump(data, sort_keys=False)


def _plain(entry: Entry, needs: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": entry.name,
        "version": entry.version or entry.fingerprint,
        "fingerprint": entry.fingerprint,
        "sha1": entry.digest,
    }
    if needs:
        data[needs] = list(entry.needs)
    if entry.stemcell:
        data["stemcell"] = entry.stemcell
    return data


def _entries(data: Mapping[str, Any], key: str, needs: str, file: str) -> tuple[Entry, ...]:
    value = data.get(key) or []
    if not isinstance(value, list):
        raise ReleaseInvalid(f"'{key}' in {file} must be a list")
    entries = tuple(_entry(item, key, needs, file) for item in value)
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        if (entry.name, entry.stemcell) in seen:
            raise ReleaseInvalid(f"'{entry.name}' is twice in '{key}' of {file}")
        seen.add((entry.name, entry.stemcell))
    return entries


def _entry(item: Any, key: str, needs: str, file: str) -> Entry:
    if not isinstance(item, dict):
        raise ReleaseInvalid(f"an entry of '{key}' in {file} is not a mapping")
    name = "license" if key == "license" else name_in(item.get("name"), f"{key} in {file}:")
    fingerprint = str(item.get("fingerprint") or item.get("version") or "")
    if not fingerprint or not item.get("sha1"):
        raise ReleaseInvalid(
            f"'{name}' in '{key}' of {file} has no {'sha1' if fingerprint else 'fingerprint'}",
            fix="make the release again",
        )
    return Entry(
        name=name,
        fingerprint=fingerprint,
        digest=str(item["sha1"]),
        version=str(item.get("version") or fingerprint),
        needs=names_in(item.get(needs), f"{needs} of '{name}'") if needs else (),
        stemcell=str(item.get("stemcell") or "") if key == "compiled_packages" else "",
    )


def _reference_errors(manifest: ReleaseManifest) -> list[DirectorError]:
    packages = {e.name: e for e in (*manifest.packages, *manifest.compiled_packages)}
    errors: list[DirectorError] = []
    for kind, entries in (("job", manifest.jobs), ("package", tuple(packages.values()))):
        for entry in entries:
            for needed in entry.needs:
                if needed not in packages:
                    errors.append(
                        ReleaseInvalid(
                            f"{kind} '{entry.name}' needs package '{needed}', which release"
                            f" '{manifest.name}' does not have",
                            fix="add the package, or correct the name in the spec",
                        )
                    )
    if not errors:
        circle = _circle(packages)
        if circle:
            errors.append(
                ReleaseInvalid(
                    f"packages of release '{manifest.name}' depend on each other in a circle: "
                    + " -> ".join(circle),
                    fix="take one of these dependencies out",
                )
            )
    return errors


def _circle(packages: Mapping[str, Entry]) -> list[str]:
    """Return the first circle of dependencies, by name, or an empty list."""
    done: set[str] = set()
    for start in packages:
        trail: list[str] = []
        waiting = [iter([start])]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
                if trail:
                    done.add(trail.pop())
            elif name in trail:
                return [*trail[trail.index(name) :], name]
            elif name not in done:
                trail.append(name)
                waiting.append(iter(packages[name].needs))
    return []

"""What a release directory remembers of its dev builds: ``.dev_builds`` and ``dev_releases``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from director.model.digests import multi_digest, verify
from director.model.errors import DigestMismatch, ReleaseInvalid
from director.model.versions import newest
from director.release.document import read_mapping
from director.release.release_manifest import ReleaseManifest, read_release_manifest
from director.release.release_manifest import write_release_manifest as _to_text

_FORMAT = "2"


def artifact(
    root: Path, kind: str, name: str, fingerprint: str, build: Callable[[Path], None]
) -> tuple[Path, str, bool]:
    """Return the archive of a job, package or licence, its multi-digest, and whether it was built.

    It is built by ``build(path)`` unless ``.dev_builds`` has it, undamaged, from an earlier time.
    """
    directory = root / ".dev_builds" / kind / name if name else root / ".dev_builds" / kind
    index_file = directory / "index.yml"
    builds = _builds(index_file)
    path = directory / f"{fingerprint}.tgz"
    known = builds.get(fingerprint)
    if isinstance(known, dict) and path.is_file():
        digest = str(known.get("sha1", ""))
        try:
            with path.open("rb") as stream:
                verify(stream, digest, what=str(path))
        except DigestMismatch:
            pass  # damaged: it is built again below
        else:
            return path, digest, False
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f".{fingerprint}-{os.getpid()}"
    try:
        build(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    with path.open("rb") as stream:
        digest = multi_digest(stream)
    builds[fingerprint] = {"version": fingerprint, "sha1": digest}
    _write(index_file, {"builds": builds, "format-version": _FORMAT})
    return path, digest, True


def dev_versions(root: Path, name: str) -> list[str]:
    """Return the dev versions made of this release so far."""
    return _versions(root / "dev_releases" / name / "index.yml")


def final_version(root: Path, name: str) -> str:
    """Return the newest final version of the release, ``0`` if there is none."""
    return newest(_versions(root / "releases" / name / "index.yml")) or "0"


def last_dev_release(root: Path, name: str) -> ReleaseManifest | None:
    """Return the manifest of the newest dev release, if it is there and whole."""
    version = newest(dev_versions(root, name))
    file = root / "dev_releases" / name / f"{name}-{version}.yml"
    if version is None or not file.is_file():
        return None
    try:
        return read_release_manifest(file.read_text(encoding="utf-8"), str(file))
    except ReleaseInvalid:
        return None


def record_dev_release(root: Path, manifest: ReleaseManifest, id: str) -> Path:
    """Keep ``manifest`` as a dev release; returns the path of its file."""
    directory = root / "dev_releases" / manifest.name
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{manifest.name}-{manifest.version}.yml"
    _replace(file, _to_text(manifest))
    index_file = directory / "index.yml"
    builds = _builds(index_file)
    if manifest.version not in _versions(index_file):
        builds[id] = {"version": manifest.version}
        _write(index_file, {"builds": builds, "format-version": _FORMAT})
    return file


def _versions(index_file: Path) -> list[str]:
    return [
        str(build["version"])
        for build in _builds(index_file).values()
        if isinstance(build, dict) and build.get("version")
    ]


def _builds(index_file: Path) -> dict[str, Any]:
    if not index_file.is_file():
        return {}
    data = read_mapping(index_file.read_text(encoding="utf-8"), str(index_file))
    builds = data.get("builds") or {}
    if not isinstance(builds, dict):
        raise ReleaseInvalid(
            f"'builds' in '{index_file}' must be a mapping",
            fix="delete the file; it is made again",
        )
    return builds


def _write(file: Path, data: Mapping[str, Any]) -> None:
    _replace(file, yaml.safe_dump(dict(data), sort_keys=True))


def _replace(file: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, file)

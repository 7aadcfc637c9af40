"""Uploading releases: from a tarball, a directory or a URL, and only what is missing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from director.cli.session import Session
from director.client.releases import (
    known_packages,
    list_releases,
    release_fingerprints,
    upload_release,
    upload_release_url,
)
from director.model.errors import NotSupported, ReleaseInvalid, UsageError

if TYPE_CHECKING:
    from director.release.create_release import Built
    from director.release.release_manifest import ReleaseManifest

_REMOTE = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to upload; relative paths start at ``base`` or at the working directory.

    Name and version spare a download or a build where the director has them. ``version`` is exact
    or None.
    """

    location: str
    base: Path
    name: str | None = None
    version: str | None = None
    digest: str | None = None
    rebase: bool = False
    fix: bool = False


def upload(session: Session, wanted: Wanted) -> tuple[str, str] | None:
    """Upload a release unless the director has it; return its name and version where known."""
    scheme = urlsplit(wanted.location).scheme
    if scheme not in ("", "file", *_REMOTE):
        raise NotSupported(
            f"releases cannot be fetched from '{scheme}:' locations",
            fix="download it, and give the path of the tarball or the release directory",
        )
    known = (wanted.name, wanted.version) if wanted.name and wanted.version else None
    if known and not (wanted.fix or wanted.rebase) and _is_there(session, *known):
        return known
    if scheme in _REMOTE:
        return _upload_url(session, wanted, known)
    path = local_path(wanted.location, wanted.base)
    with tempfile.TemporaryDirectory(prefix="director-release-") as scratch:
        if path.is_dir():
            return _upload_directory(session, path, wanted, Path(scratch))
        return _upload_tarball(session, path, wanted, Path(scratch))


def local_path(location: str, base: Path) -> Path:
    """Return the path in a ``file://`` URL or a plain path.

    A relative one is looked for beside the file it stands in, then in the working directory.
    """
    path = Path(location.removeprefix("file://")).expanduser()
    for found in (base / path, Path.cwd() / path):
        if found.exists():
            return found.resolve()
    raise UsageError(f"'{path}' does not exist", fix="check the path of the release")


def _upload_url(
    session: Session, wanted: Wanted, known: tuple[str, str] | None
) -> tuple[str, str] | None:
    session.run(
        upload_release_url(
            session.http,
            wanted.location,
            digest=wanted.digest,
            rebase=wanted.rebase,
            fix=wanted.fix,
        )
    )
    return known


def _upload_directory(
    session: Session, directory: Path, wanted: Wanted, scratch: Path
) -> tuple[str, str]:
    from director.release.pack import pack_release
    from director.release.release_manifest import write_release_manifest

    built = _build(session, directory, wanted, wanted.version)
    there = release_fingerprints(session.http, built.name, built.version)
    if there is not None and not (wanted.fix or wanted.rebase):
        if there == _fingerprints(built.manifest):
            _say_it_is_there(session, built.name, built.version)
            return built.name, built.version
        if wanted.version is None:
            # Another directory's version of this number is there: numbers are given per directory.
            built = _build(session, directory, wanted, _next_version(session, built))
    tarball = scratch / "built.tgz"
    pack_release(write_release_manifest(built.manifest), built.members, tarball)
    _send(session, tarball, built.manifest, wanted, scratch)
    return built.name, built.version


def _build(session: Session, directory: Path, wanted: Wanted, version: str | None) -> Built:
    from director.release.create_release import create_release

    session.ui.line(f"Building the release in '{directory}'")
    return create_release(
        directory, name=wanted.name, version=version, force=True, on_progress=session.ui.line
    )


def _next_version(session: Session, built: Built) -> str:
    from director.release.versions import next_dev

    known = [release.version for release in list_releases(session.http)]
    return next_dev([*known, built.version], base=built.version)


def _upload_tarball(
    session: Session, tarball: Path, wanted: Wanted, scratch: Path
) -> tuple[str, str]:
    from director.release.open_release import read_manifest

    try:
        manifest = read_manifest(tarball)
    except OSError as error:
        raise ReleaseInvalid(f"'{tarball}' cannot be read: {error.strerror}") from error
    found = (manifest.name, manifest.version)
    if not (wanted.fix or wanted.rebase) and _is_there(session, *found):
        return found
    _send(session, tarball, manifest, wanted, scratch)
    return found


def _send(
    session: Session, tarball: Path, manifest: ReleaseManifest, wanted: Wanted, scratch: Path
) -> None:
    """Upload a tarball, without the packages the director has unless it is to fix them."""
    from director.release.release_manifest import write_release_manifest
    from director.release.trim import trim

    sent = tarball
    known: frozenset[str] = frozenset()
    if not wanted.fix:
        known = known_packages(session.http, write_release_manifest(manifest))
    if known:
        sent = scratch / "trimmed.tgz"
        trim(tarball, sent, known)
    session.run(upload_release(session.http, sent, rebase=wanted.rebase, fix=wanted.fix))


def _is_there(session: Session, name: str, version: str) -> bool:
    there = any((r.name, r.version) == (name, version) for r in list_releases(session.http))
    if there:
        _say_it_is_there(session, name, version)
    return there


def _say_it_is_there(session: Session, name: str, version: str) -> None:
    session.ui.line(f"Release '{name}/{version}' already exists.")


def _fingerprints(manifest: ReleaseManifest) -> frozenset[tuple[str, str]]:
    return frozenset((entry.name, entry.fingerprint) for entry in manifest.jobs + manifest.packages)

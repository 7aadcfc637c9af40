"""Open a release tarball from anywhere: nothing in it is believed before it is checked."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from director.archives import MAX_BYTES, read_archive
from director.model.digests import verify
from director.model.errors import ReleaseInvalid
from director.model.release import Job, Package, Release
from director.release.document import MAX_BYTES as MAX_DOCUMENT
from director.release.job_spec import read_job_spec
from director.release.release_manifest import Entry, ReleaseManifest, read_release_manifest

_MEMBER = re.compile(r"(jobs|packages|compiled_packages)/[A-Za-z0-9_][A-Za-z0-9_.+-]*\.t?gz")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRelease:
    """A release on disk. ``release`` has no blobs yet; ``files`` maps ``jobs/redis`` and the like
    to verified archives. A package missing in ``files`` was left out by the sender."""

    release: Release
    manifest: ReleaseManifest
    files: Mapping[str, Path] = field(default_factory=dict)


def open_release(
    origin: Path | BinaryIO, workdir: Path, *, max_bytes: int = MAX_BYTES
) -> OpenedRelease:
    """Unpack a release tarball (a path or a seekable stream) into ``workdir`` and check all of it.

    Every archive has the digest ``release.MF`` gives; every job can be read; no archive holds
    anything that leaves its directory. Raises ReleaseInvalid or DigestMismatch.
    """
    if not isinstance(origin, Path):
        return _open(origin, "the release", workdir, max_bytes)
    try:
        stream = origin.open("rb")
    except OSError as error:
        raise ReleaseInvalid(f"'{origin}' cannot be read: {error.strerror}") from error
    with stream:
        return _open(stream, f"'{origin.name}'", workdir, max_bytes)


def read_manifest(path: Path) -> ReleaseManifest:
    """Return only the manifest of the release tarball at ``path``; the rest is not checked."""
    with path.open("rb") as stream:
        for member in read_archive(stream, what=f"'{path.name}'", invalid=ReleaseInvalid):
            if member.name == "release.MF" and member.kind == "file":
                return read_release_manifest(_document(member.read, "release.MF"))
    raise _not_a_release(f"'{path.name}'")


def _open(stream: BinaryIO, what: str, workdir: Path, max_bytes: int) -> OpenedRelease:
    text, found = _unpack(stream, what, workdir, max_bytes)
    if text is None:
        raise _not_a_release(what)
    manifest = read_release_manifest(text)
    files: dict[str, Path] = {}
    for kind, entries in (
        ("jobs", manifest.jobs),
        ("packages", manifest.packages),
        ("compiled_packages", manifest.compiled_packages),
    ):
        for entry in entries:
            path = found.get(f"{kind}/{entry.name}")
            if path is not None:
                _check_digest(path, entry, kind)
                files[f"{kind}/{entry.name}"] = path
    packages = _packages(manifest)
    jobs = {
        entry.name: _open_job(entry, files.get(f"jobs/{entry.name}"), packages)
        for entry in manifest.jobs
    }
    for name, path in files.items():
        if not name.startswith("jobs/"):
            _check_members(path, f"package '{name.partition('/')[2]}'", max_bytes)
    release = Release(
        name=manifest.name,
        version=manifest.version,
        commit_hash=manifest.commit_hash,
        uncommitted_changes=manifest.uncommitted_changes,
        jobs=jobs,
        packages=packages,
    )
    return OpenedRelease(release=release, manifest=manifest, files=files)


def _unpack(
    stream: BinaryIO, what: str, workdir: Path, max_bytes: int
) -> tuple[str | None, dict[str, Path]]:
    """Lay the archives of a release out under names of our own."""
    text: str | None = None
    found: dict[str, Path] = {}
    for member in read_archive(stream, what=what, invalid=ReleaseInvalid, max_bytes=max_bytes):
        if member.kind == "link":
            raise ReleaseInvalid(
                f"{what} holds the link '{member.name}', and a release has none",
                fix="make the release again",
            )
        if member.name == "release.MF":
            text = _document(member.read, "release.MF")
        elif member.kind == "file" and _MEMBER.fullmatch(member.name):
            handle, place = tempfile.mkstemp(dir=workdir, prefix="part-")
            with open(handle, "wb") as target:
                while chunk := member.content.read(_CHUNK):
                    target.write(chunk)
            found[member.name.rpartition(".")[0]] = Path(place)
    return text, found


def _open_job(entry: Entry, path: Path | None, packages: Mapping[str, Package]) -> Job:
    what = f"job '{entry.name}'"
    if path is None:
        raise ReleaseInvalid(
            f"the archive of {what} is not in the release", fix="make the release again"
        )
    spec: str | None = None
    names: set[str] = set()
    with path.open("rb") as stream:
        for member in read_archive(
            stream, what=what, invalid=ReleaseInvalid, max_bytes=1 << 30, max_members=10_000
        ):
            if member.kind == "link":
                raise ReleaseInvalid(f"{what} holds the link '{member.name}', and a job has none")
            if member.kind == "file":
                names.add(member.name)
            if member.name == "job.MF":
                spec = _document(member.read, "job.MF")
    if spec is None:
        raise ReleaseInvalid(f"{what} has no job.MF", fix="make the release again")
    job = read_job_spec(
        spec,
        file=f"{entry.name}/job.MF",
        files=names,
        fingerprint=entry.fingerprint,
        digest=entry.digest,
    )
    if job.name != entry.name:
        raise ReleaseInvalid(f"{what} says its name is '{job.name}'", fix="make the release again")
    missing = sorted(set(job.packages) - set(packages))
    if missing:
        raise ReleaseInvalid(
            f"{what} needs packages the release does not have: {', '.join(missing)}",
            fix="add them, or correct their names in the job's spec",
        )
    return job


def _packages(manifest: ReleaseManifest) -> dict[str, Package]:
    packages: dict[str, Package] = {}
    for entry in (*manifest.packages, *manifest.compiled_packages):
        package = Package(
            name=entry.name,
            fingerprint=entry.fingerprint,
            dependencies=entry.needs,
            digest="" if entry.stemcell else entry.digest,
        )
        kept = packages.setdefault(entry.name, package)
        if kept.fingerprint != entry.fingerprint:
            raise ReleaseInvalid(f"package '{entry.name}' has two fingerprints in release.MF")
    return packages


def _check_digest(path: Path, entry: Entry, kind: str) -> None:
    singular = {"jobs": "job", "packages": "package"}.get(kind, "compiled package")
    with path.open("rb") as stream:
        verify(stream, entry.digest, what=f"{singular} '{entry.name}'")


def _check_members(path: Path, what: str, max_bytes: int) -> None:
    """Read a package through: a compilation machine's root will unpack it."""
    with path.open("rb") as stream:
        for _ in read_archive(stream, what=what, invalid=ReleaseInvalid, max_bytes=max_bytes):
            pass


def _document(read: object, name: str) -> str:
    try:
        content = read(MAX_DOCUMENT)  # type: ignore[operator]
        return str(content.decode("utf-8"))
    except ValueError as error:
        raise ReleaseInvalid(f"{name} cannot be read: {error}") from error


def _not_a_release(what: str) -> ReleaseInvalid:
    return ReleaseInvalid(
        f"{what} is not a release: it has no release.MF",
        fix="name a release tarball, such as create-release --tarball makes",
    )

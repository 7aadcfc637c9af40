"""Make a release of a release directory: a dev version, its manifest and, if asked, its tarball."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from director.model.errors import DirectorError, ReleaseInvalid, raise_all
from director.release.blobs_fetch import fetch_blobs
from director.release.dev_index import (
    artifact,
    dev_versions,
    final_version,
    last_dev_release,
    record_dev_release,
)
from director.release.document import name_in
from director.release.fingerprint import fingerprint
from director.release.git_state import git_state
from director.release.pack import pack_files, pack_package, pack_release
from director.release.release_manifest import (
    Entry,
    ReleaseManifest,
    read_release_manifest,
    write_release_manifest,
)
from director.release.source_dir import JobSource, PackageSource, ReleaseDir
from director.release.versions import next_dev


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A release that was made. ``manifest_file`` is its dev release's; ``tarball`` may be None.

    ``members`` are the archives by their names in a tarball; ``is_new`` is false if nothing changed
    since the newest dev version, which then stands for it.
    """

    name: str
    version: str
    manifest: ReleaseManifest
    manifest_file: Path
    members: dict[str, Path]
    tarball: Path | None = None
    is_new: bool = True


def create_release(
    directory: Path,
    *,
    tarball: Path | None = None,
    name: str | None = None,
    version: str | None = None,
    force: bool = False,
    timestamp_version: bool = False,
    blob_cache: Path | None = None,
    sha2: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
    now: Callable[[], float] = time.time,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Built:
    """Make a dev release of ``directory``; only what changed is packed again.

    The version is the next ``<last final>+dev.<n>`` (``+dev.<unix time>`` with
    ``timestamp_version``) unless it is given or nothing changed since the last one. Raises
    ReleaseInvalid for files git does not have committed, unless ``force``, and for all that is
    wrong with the directory.
    """
    source = ReleaseDir(directory)
    release = name_in(name, "release name") if name else source.name
    state = git_state(directory)
    if state.changed and not force:
        raise ReleaseInvalid(
            f"'{directory}' has changes that are not committed:\n"
            + "\n".join(f"    {file}" for file in state.changed[:20]),
            fix="commit them, or use --force",
        )
    fetch_blobs(directory, cache=blob_cache, on_progress=on_progress)
    manifest, members = _build(source, sha2=sha2, on_progress=on_progress)
    manifest = replace(
        manifest,
        name=release,
        commit_hash=state.commit,
        uncommitted_changes=bool(state.changed),
    )
    last = last_dev_release(directory, release)
    same = last is not None and replace(manifest, version=last.version) == last
    if version:
        chosen = name_in(version, "release version")
    elif timestamp_version:
        chosen = f"{final_version(directory, release).partition('+')[0]}+dev.{int(now())}"
    elif same and last is not None:
        chosen = last.version
    else:
        chosen = next_dev(dev_versions(directory, release), base=final_version(directory, release))
    manifest = replace(manifest, version=chosen)
    manifest_file = record_dev_release(directory, manifest, new_id())
    if tarball is not None:
        tarball.parent.mkdir(parents=True, exist_ok=True)
        pack_release(write_release_manifest(manifest), members, tarball)
    return Built(
        name=release,
        version=chosen,
        manifest=manifest,
        manifest_file=manifest_file,
        members=members,
        tarball=tarball,
        is_new=not (same and last is not None and last.version == chosen),
    )


def _build(
    source: ReleaseDir, *, sha2: bool, on_progress: Callable[[str], None]
) -> tuple[ReleaseManifest, dict[str, Path]]:
    """Pack what is not packed yet; returns a manifest without version, and the archives."""
    members: dict[str, Path] = {}
    # Everything is read before anything is packed: a mistake shows at once.
    sources: list[JobSource | PackageSource] = []
    errors: list[DirectorError] = []
    for read in (source.packages(), source.jobs()):
        try:
            sources += read
        except DirectorError as error:
            errors.append(error)
    raise_all(errors)
    packages: list[Entry] = []
    jobs: list[Entry] = []
    for item in sources:
        if isinstance(item, PackageSource):
            packages.append(_package(source, item, members, on_progress, sha2=sha2))
        else:
            jobs.append(_job(source, item, members, on_progress, sha2=sha2))
    manifest = ReleaseManifest(
        name=source.name,
        version="0",
        jobs=tuple(jobs),
        packages=tuple(packages),
        license=_license(source, members, sha2=sha2),
    )
    # What a director would refuse is refused here already.
    read_release_manifest(write_release_manifest(manifest), str(source.root))
    return manifest, members


def _package(
    source: ReleaseDir,
    package: PackageSource,
    members: dict[str, Path],
    on_progress: Callable[[str], None],
    *,
    sha2: bool,
) -> Entry:
    identity = fingerprint(package.files, package.dependencies, sha2=sha2)
    path, digest, built = artifact(
        source.root,
        "packages",
        package.name,
        identity,
        lambda target: pack_package(package, source.root, target),
    )
    if built:
        on_progress(f"packed package {package.name}/{identity}")
    members[f"packages/{package.name}.tgz"] = path
    return Entry(
        name=package.name,
        fingerprint=identity,
        version=identity,
        digest=digest,
        needs=tuple(sorted(package.dependencies)),
    )


def _job(
    source: ReleaseDir,
    item: JobSource,
    members: dict[str, Path],
    on_progress: Callable[[str], None],
    *,
    sha2: bool,
) -> Entry:
    identity = fingerprint(item.files, sha2=sha2)
    path, digest, built = artifact(
        source.root,
        "jobs",
        item.job.name,
        identity,
        lambda target: pack_files(item.files, target),
    )
    if built:
        on_progress(f"packed job {item.job.name}/{identity}")
    members[f"jobs/{item.job.name}.tgz"] = path
    return Entry(
        name=item.job.name,
        fingerprint=identity,
        version=identity,
        digest=digest,
        needs=item.job.packages,
    )


def _license(source: ReleaseDir, members: dict[str, Path], *, sha2: bool) -> Entry | None:
    files = source.license()
    if not files:
        return None
    identity = fingerprint(files, sha2=sha2)
    path, digest, _ = artifact(
        source.root, "license", "", identity, lambda target: pack_files(files, target)
    )
    members["license.tgz"] = path
    return Entry(name="license", fingerprint=identity, version=identity, digest=digest)

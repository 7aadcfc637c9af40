"""Upload a release: keep its jobs and packages, sharing what other releases brought already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import ReleaseInvalid, ReleaseMismatch, YamlError
from director.model.events import AuditEvent
from director.model.ids import BlobId
from director.model.release import CompiledPackage, Job, Package, Release, dependency_key
from director.operations.uploaded_file import uploaded_file
from director.release.open_release import OpenedRelease, open_release
from director.release.release_manifest import Entry, read_release_manifest
from director.release.versions import next_dev


def upload_release(world: World, run: TaskRun) -> str:
    """Run an ``update_release`` task (arguments ``path`` or ``location``, ``rebase``, ``fix``).

    A version that is there with the same content stays as it is; with ``fix`` its files are
    written anew. Raises ReleaseMismatch if it is there with other content.
    """
    with uploaded_file(world, run, "release", invalid=ReleaseInvalid) as (path, scratch):
        with run.stage("Extracting release", total=1).track("Extracting release"):
            opened = open_release(path, scratch)
        with content_lock(world, run):
            release = _keep(world, run, opened)
    name = f"{release.name}/{release.version}"
    run.audit(
        AuditEvent(
            action="create",
            object_type="release",
            object_name=name,
            context={"commit_hash": release.commit_hash},
        )
    )
    return f"Created release '{name}'"


def packages_matching(world: World, manifest_yaml: str) -> list[str]:
    """Return the fingerprints of a release manifest's packages that need not be sent."""
    found = []
    for entry in _listed(manifest_yaml, "packages"):
        stored = world.store.releases.find_package(entry.fingerprint)
        if stored is not None and _has(world, stored.blob):
            found.append(entry.fingerprint)
    return found


def compiled_packages_matching(world: World, manifest_yaml: str) -> list[str]:
    """Return the fingerprints of a manifest's compiled packages that need not be sent."""
    entries = _listed(manifest_yaml, "compiled_packages")
    release = _bare_release(entries)
    known = {_key(compiled) for compiled in world.store.releases.all_compiled()}
    return [e.fingerprint for e in entries if _key(_compiled(e, release, BlobId(""))) in known]


def _keep(world: World, run: TaskRun, opened: OpenedRelease) -> Release:
    release, fix = opened.release, bool(run.task.args.get("fix"))
    with run.stage("Verifying manifest", total=1).track("Verifying manifest"):
        if run.task.args.get("rebase"):
            versions = (r.version for r in world.store.releases.versions(release.name))
            release = replace(release, version=next_dev(versions, base=release.version))
        known = world.store.releases.get(release.name, release.version)
        if known is not None:
            _require_same(known, release)
    sorted_out = _sort_out(world, opened, release, fix=fix)
    packages = _keep_packages(world, run, opened, sorted_out)
    jobs = _keep_jobs(world, run, opened, sorted_out)
    complete = replace(release, packages=packages, jobs=jobs)
    _keep_compiled(world, run, opened, complete)
    what = "Compiled Release has been created"
    stage = what if opened.manifest.compiled_packages else "Release has been created"
    with run.stage(stage, total=1).track(f"{release.name}/{release.version}"):
        if known is None or fix or known != complete:
            world.store.releases.add(complete)
    return complete


@dataclass(frozen=True, slots=True, kw_only=True)
class _SortedOut:
    """Which packages and jobs the store has with their files, and which are new."""

    packages: Mapping[str, Package]
    new_packages: tuple[Package, ...]
    jobs: Mapping[str, Job]
    new_jobs: tuple[Job, ...]


def _sort_out(world: World, opened: OpenedRelease, release: Release, *, fix: bool) -> _SortedOut:
    """Look up what is there; raises ReleaseInvalid for packages neither sent nor there."""
    packages: dict[str, Package] = {}
    jobs: dict[str, Job] = {}
    missing = []
    for package in release.packages.values():
        sent = f"packages/{package.name}" in opened.files
        stored = world.store.releases.find_package(package.fingerprint)
        if stored is not None and _has(world, stored.blob) and not (fix and sent):
            packages[package.name] = replace(package, blob=stored.blob, digest=stored.digest)
        elif not sent and f"compiled_packages/{package.name}" in opened.files:
            packages[package.name] = package
        elif not sent and not _is_compiled_there(world, opened, package, release):
            missing.append(f"'{package.name}/{package.fingerprint}'")
        elif not sent:
            packages[package.name] = package
    if missing:
        raise ReleaseInvalid(
            f"release '{release.name}/{release.version}' was sent without packages this director"
            f" does not have: {', '.join(missing)}",
            fix="upload the complete tarball, with --fix",
        )
    for job in release.jobs.values():
        known = world.store.releases.find_job(job.fingerprint)
        if known is not None and known.name == job.name and _has(world, known.blob) and not fix:
            jobs[job.name] = known
    return _SortedOut(
        packages=packages,
        new_packages=tuple(p for p in release.packages.values() if p.name not in packages),
        jobs=jobs,
        new_jobs=tuple(j for j in release.jobs.values() if j.name not in jobs),
    )


def _keep_packages(
    world: World, run: TaskRun, opened: OpenedRelease, found: _SortedOut
) -> dict[str, Package]:
    kept = dict(found.packages)
    _say_existing(run, len(kept), "package")
    if found.new_packages:
        stage = run.stage("Creating new packages", total=len(found.new_packages))
        for package in found.new_packages:
            run.checkpoint()
            with stage.track(f"{package.name}/{package.fingerprint}"):
                blob = world.blobs.put_file(opened.files[f"packages/{package.name}"])
                kept[package.name] = replace(package, blob=blob)
    return {name: kept[name] for name in opened.release.packages}


def _keep_jobs(
    world: World, run: TaskRun, opened: OpenedRelease, found: _SortedOut
) -> dict[str, Job]:
    kept = dict(found.jobs)
    _say_existing(run, len(kept), "job")
    if found.new_jobs:
        stage = run.stage("Creating new jobs", total=len(found.new_jobs))
        for job in found.new_jobs:
            run.checkpoint()
            with stage.track(f"{job.name}/{job.fingerprint}"):
                blob = world.blobs.put_file(opened.files[f"jobs/{job.name}"])
                kept[job.name] = replace(job, blob=blob)
    return {name: kept[name] for name in opened.release.jobs}


def _keep_compiled(world: World, run: TaskRun, opened: OpenedRelease, release: Release) -> None:
    sent = [
        entry
        for entry in opened.manifest.compiled_packages
        if f"compiled_packages/{entry.name}" in opened.files
    ]
    if not sent:
        return
    stage = run.stage("Creating new compiled packages", total=len(sent))
    for entry in sent:
        with stage.track(f"{entry.name}/{entry.fingerprint} for {entry.stemcell}"):
            blob = world.blobs.put_file(opened.files[f"compiled_packages/{entry.name}"])
            world.store.releases.add_compiled(_compiled(entry, release, blob))


def _say_existing(run: TaskRun, count: int, what: str) -> None:
    if count:
        text = f"Processing {count} existing {what}{'s' if count > 1 else ''}"
        with run.stage(text, total=1).track(text):
            pass


def _require_same(known: Release, sent: Release) -> None:
    """Raise ReleaseMismatch unless both have the same commit, jobs and packages."""

    def content(release: Release) -> dict[str, str]:
        return {
            **{f"job '{job.name}'": job.fingerprint for job in release.jobs.values()},
            **{f"package '{p.name}'": p.fingerprint for p in release.packages.values()},
        }

    differences = []
    if (known.commit_hash, known.uncommitted_changes) != (
        sent.commit_hash,
        sent.uncommitted_changes,
    ):
        differences.append(f"commit {_commit(known)} instead of {_commit(sent)}")
    before, now = content(known), content(sent)
    differences += [
        f"another {name}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise ReleaseMismatch(
            f"release '{sent.name}/{sent.version}' was uploaded before with"
            f" {', '.join(differences)}",
            fix="give the release another version, or upload it with --rebase",
        )


def _commit(release: Release) -> str:
    return f"'{release.commit_hash}{'+' if release.uncommitted_changes else ''}'"


def _has(world: World, blob: BlobId | None) -> bool:
    return blob is not None and world.blobs.exists(blob)


def _is_compiled_there(
    world: World, opened: OpenedRelease, package: Package, release: Release
) -> bool:
    wanted = {
        _key(_compiled(entry, release, BlobId("")))
        for entry in opened.manifest.compiled_packages
        if entry.name == package.name
    }
    return bool(wanted) and any(
        _key(c) in wanted and _has(world, c.blob) for c in world.store.releases.all_compiled()
    )


def _compiled(entry: Entry, release: Release, blob: BlobId) -> CompiledPackage:
    os, _, version = entry.stemcell.partition("/")
    return CompiledPackage(
        name=entry.name,
        fingerprint=entry.fingerprint,
        stemcell_os=os,
        stemcell_version=version,
        dependency_key=dependency_key(release, entry.name),
        blob=blob,
        digest=entry.digest,
    )


def _key(compiled: CompiledPackage) -> tuple[str, ...]:
    return (
        compiled.name,
        compiled.fingerprint,
        compiled.stemcell_os,
        compiled.stemcell_version,
        compiled.dependency_key,
    )


def _bare_release(entries: Iterable[Entry]) -> Release:
    return Release(
        name="",
        version="",
        packages={
            e.name: Package(name=e.name, fingerprint=e.fingerprint, dependencies=e.needs)
            for e in entries
        },
    )


def _listed(manifest_yaml: str, key: str) -> tuple[Entry, ...]:
    try:
        manifest = read_release_manifest(manifest_yaml)
    except ReleaseInvalid as error:
        raise YamlError(f"the release manifest cannot be read: {error.what}") from error
    entries: tuple[Entry, ...] = getattr(manifest, key)
    return entries

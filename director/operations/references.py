"""Which uploaded files are still in use."""

from __future__ import annotations

from collections.abc import Iterable

from director.execute.world import World
from director.model.ids import BlobId
from director.model.release import CompiledPackage, Release


def blobs_of(release: Release) -> set[BlobId]:
    """Return the blobs of the jobs and packages of ``release``."""
    found = {job.blob for job in release.jobs.values()}
    found |= {package.blob for package in release.packages.values()}
    return {blob for blob in found if blob is not None}


def unused_compiled(world: World) -> list[CompiledPackage]:
    """Return compiled packages whose package is in no release any more."""
    wanted = {
        (package.name, package.fingerprint)
        for release in world.store.releases.list()
        for package in release.packages.values()
    }
    return [c for c in world.store.releases.all_compiled() if (c.name, c.fingerprint) not in wanted]


def forget_compiled(world: World, compiled: Iterable[CompiledPackage]) -> None:
    """Delete the rows of compiled packages, and the files nothing else uses."""
    gone = set()
    for package in compiled:
        world.store.releases.delete_compiled(
            package.name,
            package.fingerprint,
            package.stemcell_os,
            package.stemcell_version,
            package.dependency_key,
        )
        gone.add(package.blob)
    delete_unused(world, gone)


def delete_unused(world: World, candidates: Iterable[BlobId]) -> None:
    """Delete those of ``candidates`` that no release and no compiled package names.

    The caller holds the lock of uploaded content and has deleted the rows already.
    """
    used = {compiled.blob for compiled in world.store.releases.all_compiled()}
    for release in world.store.releases.list():
        used |= blobs_of(release)
    for blob in candidates:
        if blob not in used:
            world.blobs.delete(blob)

"""Clean up: delete releases, stemcells, compiled packages and orphaned disks nothing uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.instances import RecordedDisk
from director.model.release import CompiledPackage, Release
from director.model.stemcell import Stemcell
from director.model.versions import version_key
from director.operations.delete_release import remove_versions
from director.operations.delete_stemcell import remove_stemcell
from director.operations.disks import delete_orphan
from director.operations.references import forget_compiled

KEPT = 2
"""How many unused versions of a release or stemcell stay, the newest, unless all shall go."""

T = TypeVar("T", Release, Stemcell)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doomed:
    """What a clean-up deletes."""

    releases: tuple[Release, ...]
    stemcells: tuple[Stemcell, ...]
    compiled: tuple[CompiledPackage, ...] = ()
    disks: tuple[RecordedDisk, ...] = ()


def clean_up(world: World, run: TaskRun) -> str:
    """Run a ``delete_artifacts`` task (arguments ``remove_all``, ``keep_orphaned_disks``)."""
    with content_lock(world, run):
        doomed = _find(world, run.task.args)
        if doomed.releases:
            remove_versions(world, run, doomed.releases, heading="Deleting releases")
        if doomed.stemcells:
            stage = run.stage("Deleting stemcells", total=len(doomed.stemcells))
            for stemcell in doomed.stemcells:
                run.checkpoint()
                with stage.track(str(stemcell)):
                    remove_stemcell(world, run, stemcell)
        if doomed.compiled:
            stage = run.stage("Deleting compiled packages", total=len(doomed.compiled))
            for package in doomed.compiled:
                label = f"{package.name} for {package.stemcell_os}/{package.stemcell_version}"
                with stage.track(label):
                    forget_compiled(world, [package])
    if doomed.disks:
        stage = run.stage("Deleting orphaned disks", total=len(doomed.disks))
        for disk in doomed.disks:
            run.checkpoint()
            if disk.cid is not None:
                with stage.track(disk.cid):
                    delete_orphan(world, run, disk.cid)
    return (
        f"Deleted {len(doomed.releases)} release(s), {len(doomed.stemcells)} stemcell(s), "
        f"{len(doomed.compiled)} extra compiled package(s), "
        f"{len(doomed.disks)} orphaned disk(s), 0 orphaned vm(s)"
    )


def dry_run(world: World, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what :func:`clean_up` would delete, in the shape of the HTTP API."""
    doomed = _find(world, config)
    releases: dict[str, list[str]] = {}
    for release in doomed.releases:
        releases.setdefault(release.name, []).append(release.version)
    return {
        "releases": [{"name": name, "versions": found} for name, found in releases.items()],
        "stemcells": [
            {
                "name": stemcell.name,
                "operating_system": stemcell.operating_system,
                "version": stemcell.version,
                "cid": stemcell.cid,
                "cpi": stemcell.cpi,
                "deployments": [],
            }
            for stemcell in doomed.stemcells
        ],
        "compiled_packages": [
            {
                "package_name": package.name,
                "stemcell_os": package.stemcell_os,
                "stemcell_version": package.stemcell_version,
            }
            for package in doomed.compiled
        ],
        "orphaned_disks": [
            {
                "disk_cid": disk.cid,
                "size": disk.size_mb,
                "az": disk.az,
                "deployment_name": disk.deployment,
                "instance_name": disk.instance_name,
                "cloud_properties": dict(disk.cloud_properties),
                "orphaned_at": disk.orphaned_at,
            }
            for disk in doomed.disks
        ],
        "orphaned_vms": [],
        "exported_releases": [],
        "dns_blobs": [],
    }


def _find(world: World, config: Mapping[str, Any]) -> _Doomed:
    everything = bool(config.get("remove_all"))
    keep = 0 if everything else KEPT
    deployments = world.store.deployments.list()
    used_releases = {pair for deployment in deployments for pair in deployment.releases}
    used_stemcells = {pair for deployment in deployments for pair in deployment.stemcells}
    return _Doomed(
        releases=tuple(_old(world.store.releases.list(), used_releases, keep)),
        stemcells=tuple(_old(world.store.stemcells.list(), used_stemcells, keep)),
        compiled=tuple(_compiled(world)) if everything else (),
        disks=tuple(world.store.disks.orphans())
        if everything and not config.get("keep_orphaned_disks")
        else (),
    )


def _old(found: Iterable[T], used: set[tuple[str, str]], keep: int) -> list[T]:
    """Return the unused versions of each name but the ``keep`` newest, oldest first."""
    by_name: dict[str, dict[str, T]] = {}
    for item in found:
        if (item.name, item.version) not in used:
            by_name.setdefault(item.name, {}).setdefault(item.version, item)
    doomed: list[T] = []
    for versions in by_name.values():
        ascending = sorted(versions.values(), key=lambda item: version_key(item.version))
        doomed += ascending[: len(ascending) - keep] if len(ascending) > keep else []
    return doomed


def _compiled(world: World) -> list[CompiledPackage]:
    """Return compiled packages no deployed release has, or for stemcells that are not there."""
    used = {pair for d in world.store.deployments.list() for pair in d.releases}
    wanted = {
        (package.name, package.fingerprint)
        for release in world.store.releases.list()
        if (release.name, release.version) in used
        for package in release.packages.values()
    }
    systems = {(s.operating_system, s.version) for s in world.store.stemcells.list()}
    return [
        c
        for c in world.store.releases.all_compiled()
        if (c.name, c.fingerprint) not in wanted
        or (c.stemcell_os, c.stemcell_version) not in systems
    ]

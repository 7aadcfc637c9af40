"""Finds the jobs of an instance group in their releases and binds their properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from director.manifest.links import LinkedJob
from director.manifest.lookup import Lookup
from director.manifest.properties import (
    WrongShape,
    bind_properties,
    merge_properties,
    undeclared,
)
from director.manifest.suggest import did_you_mean
from director.model.manifest import Deployment, InstanceGroup, JobUse
from director.model.release import Job, Release
from director.model.source import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundJob:
    """A job of a group, found in its release."""

    linked: LinkedJob
    release: Release


def resolve_jobs(
    lookup: Lookup, deployment: Deployment, group: InstanceGroup, releases: Mapping[str, Release]
) -> list[FoundJob]:
    """Return the group's jobs; one that does not exist is noted and left out."""
    listed = [use.name for use in deployment.releases]
    inherited = merge_properties(deployment.properties, group.properties)
    found = []
    for n, use in enumerate(group.jobs):
        path: Path = (*group.path, "jobs", n)
        job = _find(lookup, group, use, path, listed, releases)
        if job is None:
            continue
        properties, wrong = bind_properties(
            job, inherited if use.properties is None else use.properties
        )
        for error in wrong:
            _note(lookup, group, use, path, error)
        for keys in undeclared(job, use.properties or {}):
            _note_undeclared(lookup, job, path, keys)
        linked = LinkedJob(group=group, use=use, job=job, properties=properties, path=path)
        found.append(FoundJob(linked=linked, release=releases[use.release]))
    return found


def _find(
    lookup: Lookup,
    group: InstanceGroup,
    use: JobUse,
    path: Path,
    listed: list[str],
    releases: Mapping[str, Release],
) -> Job | None:
    user = f"job '{use.name}' of instance group '{group.name}'"
    is_listed = lookup.known(
        use.release,
        listed,
        kind="release",
        user=user,
        path=(*path, "release"),
        home="'releases' of the manifest",
    )
    release = releases.get(use.release)
    if not is_listed or release is None:
        return None  # a listed release that is missing has its own error
    job = release.jobs.get(use.name)
    if job is None:
        what = f"release '{release.name}/{release.version}' has no job '{use.name}', which "
        fix = did_you_mean(use.name, release.jobs)
        lookup.add(f"{what}instance group '{group.name}' runs", (*path, "name"), fix)
    return job


def _note(lookup: Lookup, group: InstanceGroup, use: JobUse, path: Path, error: WrongShape) -> None:
    """Note a property of the wrong shape where it stands: at the job, its group or the top."""
    homes: list[tuple[Any, Path]] = [
        (use.properties, (*path, "properties")),
        (group.properties, (*group.path, "properties")),
        (None, ("properties",)),
    ]
    places = [(*home, *error.path) for _, home in homes]
    at = next((place for place in places if place in lookup.sources), path)
    what = f"job '{use.name}' of instance group '{group.name}': {error}"
    lookup.add(what, at, error.fix)


def _note_undeclared(lookup: Lookup, job: Job, path: Path, keys: tuple[str, ...]) -> None:
    """Warn of a property the job does not have: no template sees it, so it does nothing."""
    name = ".".join(keys)
    what = f"job '{job.name}' has no property '{name}', so its value is not used"
    known = [spec.name for spec in job.properties]
    lookup.warn(what, (*path, "properties", *keys), did_you_mean(name, known, "take it out"))

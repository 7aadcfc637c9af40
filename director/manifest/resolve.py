"""Looks up every name in a deployment: from what the manifest says to what it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from director.manifest.links import Links, resolve_links
from director.manifest.lookup import Lookup
from director.manifest.problems import raise_sorted
from director.manifest.resolve_content import resolve_releases, resolve_stemcells
from director.manifest.resolve_group import resolve_group
from director.manifest.resolve_jobs import FoundJob, resolve_jobs
from director.manifest.resolve_networks import check_static_ips_once
from director.model.configs import CloudConfig, CpiConfig
from director.model.manifest import Deployment
from director.model.release import Release
from director.model.resolved import ResolvedDeployment, ResolvedGroup, ResolvedJob
from director.model.stemcell import Stemcell


def resolve(
    deployment: Deployment,
    cloud: CloudConfig,
    releases: Sequence[Release],
    stemcells: Sequence[Stemcell],
    cpis: CpiConfig | None = None,
) -> ResolvedDeployment:
    """Return the deployment with its releases, stemcells, cloud config and links found.

    ``releases`` and ``stemcells`` are all that are uploaded; ``latest`` and ``N.latest`` mean the
    newest of them. ``cpis`` are the named CPIs, if there are any. Raises every error found, as an
    ErrorList if there are several.
    """
    lookup = Lookup(deployment.sources)
    cpis = cpis or CpiConfig()
    found_releases = resolve_releases(lookup, deployment.releases, releases)
    copies = cpis.current_copies(stemcells)
    found_stemcells = resolve_stemcells(lookup, deployment.stemcells, copies)
    jobs = [
        resolve_jobs(lookup, deployment, group, found_releases)
        for group in deployment.instance_groups
    ]
    links, link_errors = resolve_links(
        [job.linked for found in jobs for job in found], deployment.sources
    )
    wanted = [len(group.jobs) for group in deployment.instance_groups]
    if [len(found) for found in jobs] == wanted:
        # A job that is missing takes its links along: then these errors would mislead.
        lookup.errors.extend(link_errors)
    groups = [
        resolve_group(lookup, deployment, group, cloud, found_stemcells, cpis)
        for group in deployment.instance_groups
    ]
    check_static_ips_once(lookup, deployment.instance_groups)
    raise_sorted(lookup.errors)
    return ResolvedDeployment(
        name=deployment.name,
        groups=tuple(
            _with_jobs(group, found, links)
            for group, found in zip(groups, jobs, strict=True)
            if group is not None
        ),
        releases=found_releases,
        stemcells=found_stemcells,
        cloud=cloud,
        cpis=cpis,
        variables=deployment.variables,
        features=deployment.features,
        sources=deployment.sources,
        uses={**cloud.uses, **deployment.uses},
        warnings=tuple(lookup.warnings),
    )


def _with_jobs(group: ResolvedGroup, jobs: Sequence[FoundJob], links: Links) -> ResolvedGroup:
    resolved = tuple(
        ResolvedJob(
            job=found.linked.job,
            release=found.release,
            properties=found.linked.properties,
            links=links.get((group.name, found.linked.job.name), {}),
        )
        for found in jobs
    )
    return replace(group, jobs=resolved)

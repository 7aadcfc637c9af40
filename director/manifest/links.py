"""Finds who provides each link that a job of the deployment consumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from director.manifest.properties import exported, in_key_order
from director.manifest.suggest import did_you_mean, quoted
from director.model.errors import DirectorError, LinkError
from director.model.manifest import InstanceGroup, JobUse, LinkUse
from director.model.release import Job, LinkSpec
from director.model.resolved import ResolvedLink
from director.model.source import Path, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedJob:
    """A job of a group, as far as links care: what the manifest and the release say of it, and its
    bound properties. ``path`` is where it stands in the manifest."""

    group: InstanceGroup
    use: JobUse
    job: Job
    properties: Mapping[str, Any]
    path: Path

    @property
    def label(self) -> str:
        return f"job '{self.job.name}' of instance group '{self.group.name}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A link on offer, under the name consumers ask for."""

    name: str
    spec: LinkSpec
    by: LinkedJob

    def __str__(self) -> str:
        alias = "" if self.name == self.spec.name else f" (as '{self.name}')"
        return f"'{self.spec.name}'{alias} of {self.by.label}"


Links = Mapping[tuple[str, str], Mapping[str, ResolvedLink]]
"""Links by name, by group and job."""


def resolve_links(
    jobs: Sequence[LinkedJob], sources: Mapping[Path, Source]
) -> tuple[Links, list[DirectorError]]:
    """Return the links of all jobs, and every error: unknown names, no provider, several.

    A link the manifest does not mention is found by its type alone; one it mentions by its type and
    name (``from``, else its own). An optional one that nobody provides, or that is blocked, is left
    out; a required one may not be.
    """
    errors: list[DirectorError] = []
    providers = [provider for job in jobs for provider in _provided(job)]
    by_type: dict[str, list[Provider]] = {}
    for provider in providers:
        by_type.setdefault(provider.spec.type, []).append(provider)
    links: dict[tuple[str, str], dict[str, ResolvedLink]] = {}
    for job in jobs:
        errors.extend(_unknown_names(job, sources))
        found = links.setdefault((job.group.name, job.job.name), {})
        for spec in job.job.consumes:
            try:
                link = _resolve(job, spec, by_type.get(spec.type, []), sources)
            except LinkError as error:
                errors.append(error)
                continue
            if link is not None:
                found[spec.name] = link
    return links, errors


def _provided(job: LinkedJob) -> list[Provider]:
    found = []
    for spec in job.job.provides:
        offer = job.use.provides.get(spec.name)
        if offer is None or not offer.hidden:
            name = offer.alias if offer is not None and offer.alias else spec.name
            found.append(Provider(name=name, spec=spec, by=job))
    return found


def _unknown_names(job: LinkedJob, sources: Mapping[Path, Source]) -> list[DirectorError]:
    errors: list[DirectorError] = []
    for key, said, known in (
        ("consumes", job.use.consumes, job.job.consumes),
        ("provides", job.use.provides, job.job.provides),
    ):
        names = [spec.name for spec in known]
        for name in said:
            if name not in names:
                what = f"{job.label} {key} no link '{name}'"
                where = sources.get((*job.path, key, name))
                fix = did_you_mean(name, names) if names else f"take '{name}' out of '{key}'"
                errors.append(LinkError(what, where=where, fix=fix))
    return errors


def _resolve(
    job: LinkedJob, spec: LinkSpec, offered: Sequence[Provider], sources: Mapping[Path, Source]
) -> ResolvedLink | None:
    use = job.use.consumes.get(spec.name)
    if use is not None and use.manual is not None:
        manual = in_key_order(use.manual)
        properties = manual.get("properties", {})
        return ResolvedLink(name=spec.name, type=spec.type, properties=properties, manual=manual)
    path: Path = (*job.path, "consumes", spec.name) if use is not None else job.path
    where = sources.get(path)
    label = f"link '{spec.name}' of type '{spec.type}', which {job.label} consumes,"
    if use is not None and use.blocked:
        if spec.optional:
            return None
        fix = "name its provider with 'from' instead of nil: the job needs the link"
        raise LinkError(f"{label} is blocked and not optional", where=where, fix=fix)
    wanted = use.from_name or spec.name if use is not None else None
    found = [p for p in offered if wanted is None or p.name == wanted]
    if not found and spec.optional and use is None:
        return None
    if len(found) != 1:
        raise _no_single_provider(label, wanted, found, offered, where)
    return _link_to(found[0], spec, use, label, where)


def _link_to(
    provider: Provider, spec: LinkSpec, use: LinkUse | None, label: str, where: Source | None
) -> ResolvedLink:
    networks = [network.name for network in provider.by.group.networks]
    network = use.network if use is not None and use.network else default_network(provider.by.group)
    if network not in networks:
        raise LinkError(
            f"{label} wants the addresses of network '{network}', and instance group "
            f"'{provider.by.group.name}', which provides it, is not on that network",
            where=where,
            fix=did_you_mean(str(network), networks),
        )
    return ResolvedLink(
        name=spec.name,
        type=spec.type,
        group=provider.by.group.name,
        job=provider.by.job.name,
        network=network,
        properties=exported(provider.by.properties, provider.spec.properties),
    )


def default_network(group: InstanceGroup) -> str:
    """Return the network whose addresses others are told: addressable, else the gateway's."""
    for purpose in ("addressable", "gateway"):
        for network in group.networks:
            if purpose in network.default:
                return network.name
    return group.networks[0].name


def _no_single_provider(
    label: str,
    wanted: str | None,
    found: Sequence[Provider],
    offered: Sequence[Provider],
    where: Source | None,
) -> LinkError:
    if found:
        names = "; ".join(str(provider) for provider in found)
        distinct = quoted(dict.fromkeys(provider.name for provider in found))
        fix = f"name one with 'from' in 'consumes': {distinct}"
        if len({provider.name for provider in found}) < len(found):
            fix = "give the one that is meant a name with 'as' in 'provides', and use it in 'from'"
        what = f"{label} has several providers: {names}"
    elif wanted is not None and offered:
        what = f"{label} is provided by nothing called '{wanted}'"
        fix = did_you_mean(wanted, dict.fromkeys(provider.name for provider in offered))
    else:
        what = f"{label} is provided by no job of the deployment"
        fix = "add a job that provides it, or describe it by hand: 'instances' in 'consumes'"
    return LinkError(what, where=where, fix=fix)

"""From a manifest's text to instances as they shall be, rendered: everything before the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from director.execute.hidden import fill_in, hide
from director.execute.rollout import Rendering
from director.execute.world import World
from director.manifest.read_cloud_config import read_cloud_config
from director.manifest.read_deployment import read_deployment
from director.manifest.resolve import resolve
from director.manifest.several_texts import label
from director.model.configs import Network
from director.model.errors import CloudConfigError, DeploymentNotFound
from director.model.ids import InstanceId
from director.model.instances import InstanceSpec, RecordedInstance
from director.model.placeholders import find_placeholders, look_up
from director.model.records import ConfigRecord, DeploymentRecord
from director.model.rendered import RenderedJob
from director.model.resolved import ResolvedDeployment, Values
from director.operations.vm_resources import with_vm_resources
from director.plan.placement import Placement, place

if TYPE_CHECKING:
    from director.variables.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A deployment as it shall be. ``specs`` carry the digests of what was rendered."""

    resolved: ResolvedDeployment
    placement: Placement
    specs: tuple[InstanceSpec, ...]
    errands: tuple[InstanceSpec, ...]
    rendered: Rendering = field(repr=False)
    values: Values = field(repr=False)
    recorded: tuple[RecordedInstance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a deployment is made from. ``deployed`` is set where a deployed manifest is used again:
    ``latest`` then means the versions that were deployed, not those uploaded since."""

    manifest: str = field(repr=False)
    configs: Sequence[ConfigRecord]
    deployed: DeploymentRecord | None = None


def deployed_source(world: World, name: str) -> Source:
    """Return what a deployment was last deployed from; raises DeploymentNotFound."""
    record = world.store.deployments.get(name)
    if record is None or record.manifest is None:
        raise DeploymentNotFound(
            f"deployment '{name}' was never deployed successfully",
            fix="deploy its manifest first",
        )
    configs = configs_of(world, record.cloud_config_ids)
    return Source(
        manifest=record.manifest,
        configs=configs or world.store.configs.list(type="cloud"),
        deployed=record,
    )


def configs_of(world: World, ids: Sequence[int]) -> list[ConfigRecord]:
    """Return the configs with these ids, also those replaced or deleted since."""
    found = [world.store.configs.get(id, live=False) for id in ids]
    return [config for config in found if config is not None]


def read_and_resolve(world: World, source: Source) -> ResolvedDeployment:
    """Return a deployment with everything its manifest names found, and its ``vm_resources`` as
    the CPIs calculate them; raises all errors at once."""
    deployment = read_deployment(source.manifest, "manifest")
    configs = source.configs
    if not configs:
        raise CloudConfigError(
            "there is no cloud config",
            fix="set one: director update-cloud-config cloud-config.yml, or --local in its place",
        )
    cloud = read_cloud_config([(label("cloud", config.name), config.content) for config in configs])
    releases = [
        release
        for name in dict.fromkeys(use.name for use in deployment.releases)
        for release in world.store.releases.versions(name)
    ]
    stemcells = world.store.stemcells.list()
    if source.deployed is not None:
        releases = [r for r in releases if (r.name, r.version) in source.deployed.releases]
        stemcells = [s for s in stemcells if (s.name, s.version) in source.deployed.stemcells]
    resolved = resolve(deployment, cloud, releases, stemcells, world.cpi_config())
    return with_vm_resources(world, resolved)


def place_instances(
    world: World, resolved: ResolvedDeployment
) -> tuple[Placement, tuple[RecordedInstance, ...]]:
    """Choose instances, AZs and addresses; returns them and the rows they were chosen from."""
    recorded = tuple(world.store.instances.list(resolved.name))
    taken = {
        (row.network, row.ip): row.instance_id or row.owner
        if row.deployment == resolved.name
        else f"{row.deployment}/{row.instance_id or row.owner}"
        for row in world.store.addresses.all()
    }
    return place(resolved, recorded, taken, world.new_id), recorded


def needed_variables(resolved: ResolvedDeployment) -> set[str]:
    """Return every reference to a variable that rendering or a CPI call will fill in."""
    places: list[Any] = [az.cloud_properties for az in resolved.azs.values()]
    for network in _networks(resolved):
        places.extend(subnet.cloud_properties for subnet in network.subnets)
        places.extend(subnet.cloud_properties for subnet in network.dynamic_subnets)
        places.extend(subnet.cloud_properties for subnet in network.vip_subnets)
    for group in resolved.groups:
        places.append(group.env)
        places.extend(group.cloud_properties.values())
        if group.disk is not None:
            places.append(group.disk.cloud_properties)
        for job in group.jobs:
            places.append(job.properties)
            for link in job.links.values():
                places.extend((link.properties, link.manual))
    if resolved.compilation is not None:
        places.extend((resolved.compilation.cloud_properties, resolved.compilation.env))
    return set().union(*(find_placeholders(place) for place in places))


def _networks(resolved: ResolvedDeployment) -> list[Network]:
    """Return the networks of the cloud config that the deployment uses."""
    names = {use.name for group in resolved.groups for use, _ in group.networks}
    if resolved.compilation is not None:
        names.add(resolved.compilation.network)
    return [network for name, network in resolved.cloud.networks.items() if name in names]


def template_names(resolved: ResolvedDeployment) -> set[str]:
    """Return the names of all templates that will be rendered."""
    return {name for group in resolved.groups for job in group.jobs for name in job.job.templates}


def desire(
    world: World, resolved: ResolvedDeployment, credentials: Credentials, *, refresh: bool = True
) -> Desired:
    """Return the deployment placed and rendered. Missing credentials are generated, once;
    ``refresh`` lets those whose ``update_mode`` says so be generated anew."""
    placement, recorded = place_instances(world, resolved)
    values = credentials.ensure(
        resolved.name,
        resolved.variables,
        needed_variables(resolved),
        uses=resolved.uses,
        refresh=refresh,
    )
    every = {spec.id: spec for spec in (*placement.specs, *placement.errands)}
    rendered_specs, rendered = render_specs(world, resolved, list(every.values()), values)
    specs = {spec.id: spec for spec in rendered_specs}
    return Desired(
        resolved=resolved,
        placement=placement,
        specs=tuple(specs[spec.id] for spec in placement.specs),
        errands=tuple(specs[spec.id] for spec in placement.errands),
        rendered=rendered,
        values=values,
        recorded=recorded,
    )


def render_specs(
    world: World,
    resolved: ResolvedDeployment,
    specs: Sequence[InstanceSpec],
    values: Values,
) -> tuple[list[InstanceSpec], dict[InstanceId, tuple[RenderedJob, ...]]]:
    """Render every job of every instance; returns the specs with the digests filled in, and the
    files by instance. Raises all errors of all templates at once."""
    from director.render.context import build_request
    from director.render.digests import job_digests

    peers: dict[str, list[InstanceSpec]] = {}
    for spec in specs:
        peers.setdefault(spec.group, []).append(spec)
    groups = {group.name: group for group in resolved.groups}
    asked = [
        (
            spec,
            job,
            build_request(
                deployment=resolved,
                group=groups[spec.group],
                job=job,
                spec=spec,
                peers=peers,
                values=values,
                archive=world.blobs.path(job.job.blob) if job.job.blob else "",
            ),
        )
        for spec in specs
        for job in groups[spec.group].jobs
    ]
    files = world.renderer().render([request for _, _, request in asked])
    rendered: dict[InstanceId, list[RenderedJob]] = {spec.id: [] for spec in specs}
    digests: dict[InstanceId, list[Any]] = {spec.id: [] for spec in specs}
    for (spec, job, request), result in zip(asked, files, strict=True):
        rendered[spec.id].append(result)
        digests[spec.id].append(job_digests(job, request, result.digest, world.digest_key))
    return (
        [replace(spec, jobs=tuple(digests[spec.id])) for spec in specs],
        {id: tuple(jobs) for id, jobs in rendered.items()},
    )


def fill_values(data: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return ``data`` with every variable's value in the place of its name.

    The values are hidden in the task's logs.
    """
    filled, secrets = fill_in(dict(data), look_up(values))
    hide(secrets)
    return dict(filled)

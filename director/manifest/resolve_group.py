"""Finds what an instance group names in the cloud config."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from director.manifest.lookup import Lookup
from director.manifest.resolve_cpis import resolve_copies
from director.manifest.resolve_networks import resolve_networks
from director.model.configs import CloudConfig, CpiConfig
from director.model.instances import DiskSpec
from director.model.manifest import Deployment, InstanceGroup
from director.model.resolved import ResolvedGroup
from director.model.source import Path
from director.model.stemcell import Stemcell

_CLOUD_CONFIG = "the cloud config"


def resolve_group(
    lookup: Lookup,
    deployment: Deployment,
    group: InstanceGroup,
    cloud: CloudConfig,
    stemcells: Mapping[str, tuple[Stemcell, ...]],
    cpis: CpiConfig,
) -> ResolvedGroup | None:
    """Return the group without its jobs, or None where a name is unknown, which is noted."""
    fits = _check_names(lookup, deployment, group, cloud)
    networks = resolve_networks(lookup, group, cloud)
    copies = stemcells.get(group.stemcell)
    if not fits or copies is None:
        return None
    azs: tuple[str | None, ...] = group.azs or (None,)
    placed = resolve_copies(lookup, group, cloud, copies, cpis)
    if len(placed) < len(azs):
        return None
    return ResolvedGroup(
        name=group.name,
        path=group.path,
        instances=group.instances,
        lifecycle=group.lifecycle,
        jobs=(),
        stemcells=placed,
        vm_type=group.vm_type,
        vm_resources=group.vm_resources,
        cloud_properties={
            az: cloud.vm_cloud_properties(
                az=az, vm_type=group.vm_type, vm_extensions=group.vm_extensions
            )
            for az in azs
        },
        networks=networks,
        update=group.update,
        azs=group.azs,
        vm_extensions=group.vm_extensions,
        disk=_disk(group, cloud),
        env=group.env,
        migrated_from=group.migrated_from,
        tags={**deployment.tags, **group.tags},
    )


def _disk(group: InstanceGroup, cloud: CloudConfig) -> DiskSpec | None:
    if group.persistent_disk_type is None:
        size = group.persistent_disk_mb
        return DiskSpec(size_mb=size) if size else None
    kind = cloud.disk_types[group.persistent_disk_type]
    if not kind.disk_size_mb:
        return None
    return DiskSpec(
        size_mb=kind.disk_size_mb, type=kind.name, cloud_properties=kind.cloud_properties
    )


def _check_names(
    lookup: Lookup, deployment: Deployment, group: InstanceGroup, cloud: CloudConfig
) -> bool:
    user = f"instance group '{group.name}'"
    path = group.path
    aliases = [use.alias for use in deployment.stemcells]
    checks: list[tuple[str, str, Collection[str], Path, str]] = [
        ("stemcell", group.stemcell, aliases, (*path, "stemcell"), "'stemcells' of the manifest"),
    ]
    if group.vm_type:
        at = (*path, "vm_type")
        checks.append(("vm_type", group.vm_type, cloud.vm_types, at, _CLOUD_CONFIG))
    checks += [
        ("vm_extension", name, cloud.vm_extensions, (*path, "vm_extensions", n), _CLOUD_CONFIG)
        for n, name in enumerate(group.vm_extensions)
    ]
    checks += [
        ("AZ", name, cloud.azs, (*path, "azs", n), _CLOUD_CONFIG)
        for n, name in enumerate(group.azs)
    ]
    if group.persistent_disk_type is not None:
        at = (*path, "persistent_disk_type")
        checks.append(
            ("disk type", group.persistent_disk_type, cloud.disk_types, at, _CLOUD_CONFIG)
        )
    found = [
        lookup.known(name, known, kind=kind, user=user, path=at, home=home)
        for kind, name, known, at, home in checks
    ]
    return all(found)

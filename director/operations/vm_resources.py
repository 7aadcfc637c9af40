"""``vm_resources``: what each AZ's CPI makes of them, known before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cpis.contract import CloudError
from director.execute.world import World
from director.manifest.resolve_cpis import cpi_of_az
from director.model.configs import called
from director.model.manifest import VmResources
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.model.source import Path, Source


class Calculations:
    """Asks CPIs, each only once for the same resources. Made anew for each run: what a cloud
    offers changes."""

    def __init__(self, world: World, sources: Mapping[Path, Source]) -> None:
        self._world = world
        self._sources = sources
        self._known: dict[tuple[str, VmResources], Mapping[str, Any]] = {}

    def properties(
        self, cpi: str, resources: VmResources, *, of: str, path: Path
    ) -> Mapping[str, Any]:
        """Return a CPI's cloud properties for a VM that has at least ``resources``.

        Raises CloudError, telling ``of`` what they are and where that stands.
        """
        key = (cpi, resources)
        if key not in self._known:
            try:
                found = self._world.cpi(cpi).calculate_vm_cloud_properties(resources.to_cpi())
            except CloudError as error:
                error.what = f"'vm_resources' of {of} on {called(cpi)}: {error.what}"
                error.where = self._sources.get((*path, "vm_resources"))
                raise
            self._known[key] = dict(found)
        return self._known[key]


def with_vm_resources(world: World, resolved: ResolvedDeployment) -> ResolvedDeployment:
    """Return the deployment with the cloud properties of all groups as the CPIs calculate them.

    Asks nobody where no group has ``vm_resources``. Raises CloudError with its place.
    """
    if all(group.vm_resources is None for group in resolved.groups):
        return resolved
    calculations = Calculations(world, resolved.sources)
    groups = tuple(_calculated(resolved, group, calculations) for group in resolved.groups)
    return replace(resolved, groups=groups)


def _calculated(
    resolved: ResolvedDeployment, group: ResolvedGroup, calculations: Calculations
) -> ResolvedGroup:
    if group.vm_resources is None:
        return group
    properties = {}
    for az, stemcell in group.stemcells.items():
        calculated = calculations.properties(
            stemcell.cpi,
            group.vm_resources,
            of=f"instance group '{group.name}'",
            path=group.path,
        )
        properties[az] = resolved.cloud.vm_cloud_properties(
            az=az, vm_type=None, vm_extensions=group.vm_extensions, calculated=calculated
        )
    return replace(group, cloud_properties=properties)


def compilation_properties(world: World, resolved: ResolvedDeployment) -> Mapping[str, Any]:
    """Return the cloud properties of compilation VMs; raises CloudError with its place."""
    compilation, cloud = resolved.compilation, resolved.cloud
    if compilation is None:
        return {}
    calculated: Mapping[str, Any] = {}
    if compilation.vm_resources is not None:
        calculated = Calculations(world, cloud.sources).properties(
            cpi_of_az(cloud, resolved.cpis, compilation.az),
            compilation.vm_resources,
            of="'compilation'",
            path=("compilation",),
        )
    merged = cloud.vm_cloud_properties(
        az=compilation.az,
        vm_type=compilation.vm_type,
        vm_extensions=compilation.vm_extensions,
        calculated=calculated,
    )
    return {**merged, **compilation.cloud_properties}

"""Where a deploy compiles: the cloud config's ``compilation`` block, with addresses chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from director.execute.compile import CompilationSite, compilation_owner, reserved_slots
from director.execute.world import World
from director.manifest.resolve_cpis import copy_on, cpi_of_az, missing_copy_fix
from director.model.configs import Compilation, Network, called
from director.model.errors import AddressTaken, CloudConfigError, NetworkError, StemcellNotFound
from director.model.instances import NetworkSpec
from director.model.manifest import NetworkUse
from director.model.resolved import ResolvedDeployment
from director.model.stemcell import Stemcell
from director.operations.desired import Desired, fill_values
from director.operations.vm_resources import compilation_properties
from director.plan.networks import AddressBook, Wish, dynamic_place
from director.plan.steps import CompilePackage

_DEFAULT = ("dns", "gateway")

TRIES = 5
"""How often addresses are chosen anew because another deployment took the chosen ones first."""


@contextmanager
def claimed_site(
    world: World, desired: Desired, steps: Sequence[CompilePackage]
) -> Iterator[CompilationSite | None]:
    """Yield the site for these packages with its addresses held; None where there are none, or
    where the cloud config has no ``compilation``. Raises as :func:`compilation_site` does."""
    with ExitStack() as held:
        for more in reversed(range(TRIES)):
            site = compilation_site(world, desired, steps) if steps else None
            slots = site.slots if site else ()
            try:
                held.enter_context(reserved_slots(world, desired.resolved.name, slots))
                break
            except AddressTaken:
                if not more:
                    raise
        yield site


def compilation_site(
    world: World, desired: Desired, steps: Sequence[CompilePackage]
) -> CompilationSite | None:
    """Return the site with a slot for each package, fewer where workers or addresses are short;
    None where the cloud config has no ``compilation``.

    Raises CloudConfigError for a network, AZ or CPI that does not exist, StemcellNotFound where the
    CPI has no copy of a stemcell, NetworkError when not even one address is free.
    """
    compilation = desired.resolved.compilation
    if compilation is None:
        return None
    cloud = desired.resolved.cloud
    network = cloud.networks.get(compilation.network)
    if network is None:
        raise CloudConfigError(
            f"compilation uses unknown network '{compilation.network}'",
            fix=f"use one of {', '.join(sorted(cloud.networks)) or '(none is defined)'}",
        )
    properties = compilation_properties(world, desired.resolved)
    slots = _slots(world, desired, compilation, network, min(compilation.workers, len(steps)))
    return CompilationSite(
        slots=tuple(tuple(_filled(place, desired) for place in slot) for slot in slots),
        stemcells=_stemcells(desired.resolved, compilation, steps),
        cloud_properties=fill_values(properties, desired.values),
        env=fill_values(compilation.env, desired.values),
        reuse=compilation.reuse_compilation_vms,
    )


def _filled(place: NetworkSpec, desired: Desired) -> NetworkSpec:
    filled = fill_values(place.cloud_properties, desired.values)
    return replace(place, cloud_properties=filled)


def _stemcells(
    resolved: ResolvedDeployment, compilation: Compilation, steps: Sequence[CompilePackage]
) -> dict[Stemcell, Stemcell]:
    """Return the copy of each stemcell on the CPI of the compilation's AZ."""
    cpi = cpi_of_az(resolved.cloud, resolved.cpis, compilation.az)
    found: dict[Stemcell, Stemcell] = {}
    for stemcell in {step.stemcell for step in steps}:
        system = (stemcell.operating_system, stemcell.version)
        copies = (copy for same in resolved.stemcells.values() for copy in same)
        same_system = [c for c in copies if (c.operating_system, c.version) == system]
        copy = copy_on(same_system, cpi)
        if copy is None:
            of_az = f", that of AZ '{compilation.az}'" if compilation.az is not None else ""
            raise StemcellNotFound(
                f"packages are compiled on {called(cpi)}{of_az}, and stemcell '{stemcell}' is not "
                "uploaded there",
                where=resolved.cloud.sources.get(("compilation",)),
                fix=missing_copy_fix(resolved.cpis, cpi, compilation.az, stemcell)
                + "; or compile in another AZ",
            )
        found[stemcell] = copy
    return found


def _slots(
    world: World, desired: Desired, compilation: Compilation, network: Network, count: int
) -> tuple[tuple[NetworkSpec, ...], ...]:
    taken = {
        (row.network, row.ip): row.instance_id or row.owner for row in world.store.addresses.all()
    }
    taken.update(
        {
            (place.name, place.ip): spec.id
            for spec in desired.specs
            for place in spec.networks
            if place.ip is not None
        }
    )
    book = AddressBook({network.name: network}, taken, ())
    slots: list[tuple[NetworkSpec, ...]] = []
    for n in range(max(1, count)):
        wish = Wish(
            owner=f"{compilation_owner(desired.resolved.name)} {n}",
            group="compilation",
            az=compilation.az,
            use=NetworkUse(name=network.name),
            network=network,
            default=_DEFAULT,
            where=None,
        )
        if network.type == "dynamic":
            slots.append((dynamic_place(wish, None),))
            continue
        try:
            slots.append((book.settle(wish, None),))
        except NetworkError:
            if not slots:
                raise
            break
    return tuple(slots)

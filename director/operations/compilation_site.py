"""Where a deploy compiles: the cloud config's ``compilation`` block, with addresses chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from director.execute.compile import CompilationSite, compilation_owner, reserved_slots
from director.execute.world import World
from director.model.configs import Compilation, Network
from director.model.errors import AddressTaken, CloudConfigError, NetworkError
from director.model.instances import NetworkSpec
from director.model.manifest import NetworkUse
from director.operations.desired import Desired, fill_values
from director.plan.networks import AddressBook, Wish, dynamic_place

_DEFAULT = ("dns", "gateway")

TRIES = 5
"""How often addresses are chosen anew because another deployment took the chosen ones first."""


@contextmanager
def claimed_site(
    world: World, desired: Desired, *, workers: int
) -> Iterator[CompilationSite | None]:
    """Yield the site for so many workers with its addresses held; None where none are needed, or
    where the cloud config has no ``compilation``. Raises as :func:`compilation_site` does."""
    with ExitStack() as held:
        for more in reversed(range(TRIES)):
            site = compilation_site(world, desired, workers=workers) if workers else None
            slots = site.slots if site else ()
            try:
                held.enter_context(reserved_slots(world, desired.resolved.name, slots))
                break
            except AddressTaken:
                if not more:
                    raise
        yield site


def compilation_site(world: World, desired: Desired, *, workers: int) -> CompilationSite | None:
    """Return the site with at most ``workers`` slots, fewer where addresses are short; None where
    the cloud config has no ``compilation``.

    Raises CloudConfigError for a network or AZ that does not exist, NetworkError when not even one
    address is free.
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
    properties = {
        **cloud.vm_cloud_properties(
            az=compilation.az,
            vm_type=compilation.vm_type,
            vm_extensions=compilation.vm_extensions,
        ),
        **compilation.cloud_properties,
    }
    slots = _slots(world, desired, compilation, network, min(compilation.workers, workers))
    return CompilationSite(
        slots=slots,
        cloud_properties=fill_values(properties, desired.values),
        env=fill_values(compilation.env, desired.values),
        reuse=compilation.reuse_compilation_vms,
    )


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

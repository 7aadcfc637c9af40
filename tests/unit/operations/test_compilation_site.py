"""Where packages are compiled: as many places as there are workers, packages and addresses."""

from __future__ import annotations

from typing import Any

import pytest
from builders import (
    dynamic_network,
    group,
    network,
    package,
    release,
    resolved,
    spec,
    stemcell,
    subnet,
)
from worlds import MemoryWorld

from director.execute.compile import CompilationSite
from director.model.configs import CloudConfig, Compilation, Network
from director.model.errors import CloudConfigError, NetworkError
from director.model.records import AddressRecord
from director.operations.compilation_site import compilation_site
from director.operations.desired import Desired
from director.plan.placement import Placement
from director.plan.steps import CompilePackage

FREE_2 = network("default", subnet("10.0.0.0/29", reserved=("10.0.0.4-10.0.0.6",)))


def site(
    lab: MemoryWorld, on: Network = FREE_2, *, packages: int = 9, **changes: Any
) -> CompilationSite | None:
    values: dict[str, Any] = {"workers": 4, "network": on.name, **changes}
    cloud = CloudConfig(networks={on.name: on}, compilation=Compilation(**values))
    return compilation_site(lab.world, desired(cloud), steps(packages))


def steps(count: int) -> list[CompilePackage]:
    made = [package(f"p{n}") for n in range(count)]
    little = release(packages=made, jobs=())
    return [
        CompilePackage(release=little, package=one, stemcell=stemcell(), dependency_key="")
        for one in made
    ]


def desired(cloud: CloudConfig) -> Desired:
    return Desired(
        resolved=resolved(group(), cloud=cloud),
        placement=Placement(specs=(), errands=(), surplus=(), states={}),
        specs=(spec(),),
        errands=(),
        rendered={},
        values={"secret": "s"},
        recorded=(),
    )


def addresses(found: CompilationSite | None) -> list[str | None]:
    assert found is not None
    return [place.ip for slot in found.slots for place in slot]


def test_addresses_of_instances_and_of_others_are_left_alone(lab: MemoryWorld) -> None:
    assert addresses(site(lab)) == ["10.0.0.3"], "10.0.0.2 is wanted by an instance"
    taken = AddressRecord(network="default", ip="10.0.0.3", deployment="other", owner="x")
    lab.world.store.deployments.ensure("other")
    lab.world.store.addresses.reserve([taken])
    with pytest.raises(NetworkError):
        site(lab)


@pytest.mark.parametrize(("workers", "packages", "slots"), [(4, 2, 2), (2, 9, 2), (1, 1, 1)])
def test_no_more_places_than_needed(
    lab: MemoryWorld, workers: int, packages: int, slots: int
) -> None:
    found = site(lab, network(), workers=workers, packages=packages)
    assert len(addresses(found)) == slots


def test_on_a_dynamic_network_the_cloud_chooses(lab: MemoryWorld) -> None:
    assert addresses(site(lab, dynamic_network(), packages=2)) == [None, None]


def test_variables_are_filled_in(lab: MemoryWorld) -> None:
    found = site(lab, cloud_properties={"key": "((secret))"}, env={"a": ["((secret))"]})
    assert found is not None
    assert (found.cloud_properties, found.env) == ({"key": "s"}, {"a": ["s"]})
    assert "((secret))" not in repr(found)


def test_without_a_block_there_is_no_place(lab: MemoryWorld) -> None:
    assert compilation_site(lab.world, desired(CloudConfig()), steps(1)) is None


def test_an_unknown_network_is_named(lab: MemoryWorld) -> None:
    with pytest.raises(CloudConfigError, match="unknown network 'nope'") as caught:
        site(lab, network="nope")
    assert "default" in str(caught.value.fix)

"""Two deployments that choose the same free address: the slower one chooses another."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from worlds import MemoryWorld, manifest

from director.execute.world import World
from director.model.errors import AddressTaken
from director.model.records import AddressRecord
from director.operations.compilation_site import TRIES
from director.operations.deploy import claim_anew, deploy
from director.operations.desired import Desired, Source, desire, read_and_resolve


def take(world: World, ip: str) -> None:
    world.store.deployments.ensure("quicker")
    world.store.addresses.reserve(
        [AddressRecord(network="default", ip=ip, deployment="quicker", owner=ip)]
    )


def choose(world: World) -> Desired:
    resolved = read_and_resolve(
        world, Source(manifest=manifest(instances=1), configs=world.store.configs.list())
    )
    return desire(world, resolved, world.credentials())


def ip(desired: Desired) -> str:
    return str(desired.specs[0].networks[0].ip)


def test_a_deploy_goes_on_with_another_address(lab: MemoryWorld) -> None:
    first = ip(choose(lab.world))
    ids = count()

    def new_id() -> str:
        # Asked for after the addresses were looked at and before they are claimed.
        if next(ids) == 0:
            take(lab.world, first)
        return original()

    original = lab.world.new_id
    lab.world = replace(lab.world, new_id=new_id)
    lab.run(deploy, manifest=manifest(instances=1), options={})
    (made,) = lab.instances()
    assert made.vm is not None
    assert made.vm.ips != (first,)
    assert [instance.dirty for instance in lab.instances()] == [False]


def test_it_gives_up_where_nothing_else_is_chosen(lab: MemoryWorld) -> None:
    lab.world.store.deployments.ensure("d")
    desired = choose(lab.world)
    take(lab.world, ip(desired))
    chosen: list[Desired] = []

    def again() -> Desired:
        chosen.append(desired)
        return desired

    with pytest.raises(AddressTaken, match="'quicker'"):
        claim_anew(lab.world, desired, again)
    assert len(chosen) == TRIES - 1

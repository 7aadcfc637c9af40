"""A deployment deleted: only its disks are left; force goes past machines that fail."""

from __future__ import annotations

import pytest
from worlds import MemoryWorld, manifest

from director.model.errors import DeploymentNotFound, DirectorError, MachineError
from director.operations.delete_deployment import delete_deployment
from director.operations.deploy import deploy


@pytest.fixture
def deployed(lab: MemoryWorld) -> MemoryWorld:
    lab.run(deploy, manifest=manifest(instances=2), options={})
    return lab


def assert_gone(lab: MemoryWorld) -> None:
    store = lab.world.store
    assert (lab.cpi.vms, store.instances.list(), store.addresses.all()) == ({}, [], [])
    assert store.deployments.get("d") is None
    assert len(store.disks.orphans()) == len(lab.cpi.disks) == 2
    assert store.locks.list() == []


def test_every_machine_is_told_that_the_deployment_goes(deployed: MemoryWorld) -> None:
    machines = [deployed.machine_of(instance) for instance in deployed.instances()]
    assert deployed.run(delete_deployment, name="d") == "/deployments/d"
    assert_gone(deployed)
    assert [machine.stops[-1].deployment_next for machine in machines] == ["delete", "delete"]
    assert all(machine.calls[-1] == "close" for machine in machines)
    last = deployed.world.store.events.list()[0]
    assert (last.action, last.object_type, last.object_name) == ("delete", "deployment", "d")


def test_a_machine_that_fails_is_named_and_force_goes_past_it(deployed: MemoryWorld) -> None:
    first = deployed.instances()[0]
    for method in ("stop", "unmount_disk"):
        deployed.machine_of(first).fail_next(method, MachineError("drain failed"), times=2)
    with pytest.raises(DirectorError, match="drain failed") as caught:
        deployed.run(delete_deployment, name="d")
    assert "--force" in str(caught.value.fix)
    assert first in deployed.instances()
    assert deployed.world.store.deployments.get("d") is not None
    assert deployed.world.store.locks.list() == []
    deployed.run(delete_deployment, name="d", force=True)
    assert_gone(deployed)


def test_what_is_not_there_is_an_error(lab: MemoryWorld) -> None:
    with pytest.raises(DeploymentNotFound, match="'nope'"):
        lab.run(delete_deployment, name="nope")


def test_a_deployment_that_never_came_about_can_be_deleted(lab: MemoryWorld) -> None:
    lab.world.store.deployments.ensure("d")
    lab.run(delete_deployment, name="d")
    assert lab.world.store.deployments.get("d") is None

"""VMs for the length of an errand: made, used again where kept, gone whatever happens."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from worlds import Heard, MemoryWorld, manifest

from director.model.errors import DeploymentNotFound, InstanceNotRunning
from director.model.instances import RecordedInstance
from director.operations.deploy import deploy
from director.operations.errand_vms import errand_instances, errand_vms, only


def errand_manifest() -> str:
    data = yaml.safe_load(manifest(instances=1))
    (group,) = data["instance_groups"]
    errand = {**group, "name": "errand", "lifecycle": "errand", "instances": 2}
    del errand["persistent_disk"]
    data["instance_groups"].append(errand)
    return yaml.safe_dump(data)


@pytest.fixture
def deployed(lab: MemoryWorld) -> MemoryWorld:
    lab.run(deploy, manifest=errand_manifest(), options={})
    assert [i.group for i in lab.instances()] == ["db"]
    lab.cpi._calls.clear()
    return lab


def use(lab: MemoryWorld, *, keep_alive: bool = False) -> list[RecordedInstance]:
    run: Any = Heard().run()
    wanted = errand_instances(lab.world, run, deployment="d", groups={"errand"})
    with errand_vms(lab.world, run, wanted, keep_alive=keep_alive, held=lambda: True):
        instances = [lab.recorded(spec.id) for spec in wanted.specs]
        for instance in instances:
            assert lab.machine_of(instance).state().job_state == "running"
            assert set(lab.machine_of(instance).state().packages) == {"a", "b"}
        return instances


def with_vms(lab: MemoryWorld) -> list[str]:
    return [i.group for i in lab.instances() if i.vm is not None]


def test_the_vms_are_there_for_the_errand_only(deployed: MemoryWorld) -> None:
    used = use(deployed)
    assert [i.group for i in used] == ["errand"] * 2
    assert with_vms(deployed) == ["db"]
    assert len(deployed.cpi.vms) == 1


def test_instances_and_addresses_are_the_same_the_next_time(deployed: MemoryWorld) -> None:
    first = use(deployed)
    deployed.run(deploy, manifest=errand_manifest(), options={})
    assert with_vms(deployed) == ["db"]
    again = use(deployed)
    assert [(i.id, i.vm.ips if i.vm else ()) for i in again] == [
        (i.id, i.vm.ips if i.vm else ()) for i in first
    ]
    assert len(deployed.world.store.addresses.all()) == 3


def test_only_the_chosen_instances_get_vms(deployed: MemoryWorld) -> None:
    run: Any = Heard().run()
    wanted = errand_instances(deployed.world, run, deployment="d", groups={"errand"})
    one = only(wanted, {wanted.specs[0].id})
    with errand_vms(deployed.world, run, one, keep_alive=False, held=lambda: True):
        assert with_vms(deployed) == ["db", "errand"]


def test_kept_vms_are_used_again_and_survive_a_deploy(deployed: MemoryWorld) -> None:
    first = use(deployed, keep_alive=True)
    deployed.run(deploy, manifest=errand_manifest(), options={})
    again = use(deployed, keep_alive=True)
    assert [i.vm for i in again] == [i.vm for i in first]
    assert len(deployed.cpi.calls("create_vm")) == 2
    use(deployed)
    assert with_vms(deployed) == ["db"]


def test_what_is_not_compiled_any_more_is_compiled(deployed: MemoryWorld) -> None:
    releases = deployed.world.store.releases
    for key in releases.compiled_keys():
        releases.delete_compiled(*key)
    use(deployed)
    assert len(releases.compiled_keys()) == 2
    assert len(deployed.cpi.vms) == 1


def test_a_failure_takes_the_vms_away(deployed: MemoryWorld) -> None:
    run: Any = Heard().run()
    wanted = errand_instances(deployed.world, run, deployment="d", groups={"errand"})
    with (
        pytest.raises(InstanceNotRunning),
        errand_vms(deployed.world, run, wanted, keep_alive=False, held=lambda: True),
    ):
        raise InstanceNotRunning("it broke")
    assert len(deployed.cpi.vms) == 1
    assert with_vms(deployed) == ["db"]


def test_a_deployment_never_deployed_has_no_errands(lab: MemoryWorld) -> None:
    with pytest.raises(DeploymentNotFound):
        use(lab)

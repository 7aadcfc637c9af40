"""One instance deleted: its machine told, its disk kept, everything else gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import disk
from instance_bench import InstanceBench

from director.execute.delete_instance import delete_instance
from director.execute.stage import Stage
from director.model.errors import MachineError
from director.model.instances import ActualInstance, Found, RecordedInstance
from director.model.records import AddressRecord
from director.plan.steps import DeleteInstance


def delete(
    bench: InstanceBench,
    instance: RecordedInstance,
    found: Found = Found.RESPONSIVE,
    **how: Any,
) -> None:
    step = DeleteInstance(instance=ActualInstance(recorded=instance, found=found), why=())
    with Stage(bench.heard.progress.append, "Deleting").track("it") as progress:
        delete_instance(bench.lab.world, bench.heard.run(), step, progress, **how)


def assert_gone(bench: InstanceBench) -> None:
    store = bench.lab.world.store
    assert bench.lab.cpi.vms == {}
    assert (store.instances.list(), store.vms.list(), store.addresses.all()) == ([], [], [])
    (orphan,) = store.disks.orphans()
    assert bench.lab.cpi.disks[str(orphan.cid)]["vm"] is None
    assert [(e.action, e.object_type) for e in bench.heard.audited] == [
        ("delete", "vm"),
        ("orphan", "disk"),
        ("delete", "instance"),
    ]


def made(bench: InstanceBench) -> RecordedInstance:
    instance = bench.make(disk=disk(10))
    address = AddressRecord(
        network="default", ip="10.0.0.2", deployment="dep", instance_id=instance.id
    )
    bench.lab.world.store.addresses.reserve([address])
    return instance


def test_the_machine_is_told_that_it_is_for_good(bench: InstanceBench) -> None:
    instance = made(bench)
    machine = bench.machine(instance)
    delete(bench, instance, skip_drain=True, deployment_next="delete")
    (request,) = machine.stops
    assert (request.drain, request.vm_next, request.instance_next, request.deployment_next) == (
        "shutdown",
        *("delete",) * 3,
    )
    assert (request.skip_drain, request.persistent_disk_mb) == (True, 10)
    assert request.persistent_disk_next_mb == 0
    assert machine.calls == ["stop shutdown", "unmount_disk", "close"]
    assert bench.cloud_calls() == ["detach_disk", "delete_vm"]
    assert_gone(bench)


@pytest.mark.parametrize("found", [Found.UNRESPONSIVE, Found.MISSING])
def test_a_machine_that_does_not_answer_is_not_asked(bench: InstanceBench, found: Found) -> None:
    instance = made(bench)
    assert instance.vm is not None
    if found is Found.MISSING:
        assert instance.vm.cid is not None
        bench.lab.cpi.lose_vm(instance.vm.cid)
    delete(bench, instance, found)
    assert bench.machine(instance).calls == []
    assert_gone(bench)


def test_a_machine_that_fails_stops_it_and_force_does_not(bench: InstanceBench) -> None:
    instance = made(bench)
    machine = bench.machine(instance)
    machine.fail_next("stop", MachineError("drain failed"), times=2)
    machine.fail_next("unmount_disk", MachineError("busy"))
    with pytest.raises(MachineError, match="drain failed"):
        delete(bench, instance)
    assert bench.lab.recorded(instance.id) == instance
    assert bench.heard.audited == []
    delete(bench, instance, force=True)
    assert_gone(bench)


def test_an_instance_without_vm_leaves_its_disk(bench: InstanceBench) -> None:
    instance = made(bench)
    detached = bench.update(instance, instance.spec, state="detached")  # type: ignore[arg-type]
    bench.heard.audited.clear()
    delete(bench, replace(detached), Found.NO_VM)
    assert len(bench.lab.world.store.disks.orphans()) == 1
    assert bench.lab.world.store.instances.list() == []

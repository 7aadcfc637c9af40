"""One instance brought to what is wanted: what happens to its VM, its disk and its jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import digests, disk
from instance_bench import CANARY, OTHERS, InstanceBench

from director.model.errors import InstanceNotRunning, MachineError
from director.model.instances import DesiredState, Found, InstanceSpec, RecordedInstance
from director.plan.steps import Action

NEW_VM = ["create_vm", "set_vm_metadata"]


def wanted(instance: RecordedInstance, **changes: Any) -> InstanceSpec:
    """What was applied, with changes."""
    assert instance.spec is not None
    return replace(instance.spec, **changes)


def cid_of(instance: RecordedInstance) -> str:
    assert instance.vm is not None
    assert instance.vm.cid is not None
    return instance.vm.cid


def test_a_new_instance_gets_a_vm_and_a_disk_and_is_started(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10), tags={"owner": "ann"})
    assert (made.dirty, made.state) == (False, DesiredState.STARTED)
    assert made.spec is not None
    assert made.spec.disk == disk(10)
    tags = bench.lab.cpi.vms[cid_of(made)]["metadata"]
    assert (tags["owner"], tags["director"], tags["id"]) == ("ann", "director", made.id)
    assert made.active_disk is not None
    state = bench.machine(made).state()
    assert state.job_state == "running"
    assert state.disk == f"/dev/memory/{made.active_disk.cid}"


def test_an_update_in_place_touches_only_the_machine(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    after = bench.update(made, wanted(made, tags={"a": "b"}))
    calls = ["prepare", "stop update", "close", "apply", "start", "close"]
    assert bench.machine(made).calls == calls
    assert bench.cloud_calls() == []
    assert (after.vm, after.disks, after.dirty) == (made.vm, made.disks, False)


def test_a_recreated_instance_keeps_disk_and_address(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    old = bench.machine(made)
    after = bench.update(made, wanted(made), action=Action.RECREATE)
    assert old.calls == ["stop shutdown", "unmount_disk", "close"]
    assert bench.cloud_calls() == ["detach_disk", "delete_vm", *NEW_VM, "attach_disk"]
    assert (after.disks, after.dirty) == (made.disks, False)
    assert list(bench.lab.cpi.vms) == [cid_of(after)] != [cid_of(made)]
    assert after.vm is not None
    assert made.vm is not None
    assert after.vm.ips == made.vm.ips
    assert bench.machine(after).state().job_state == "running"


@pytest.mark.parametrize("found", [Found.UNRESPONSIVE, Found.MISSING])
def test_a_vm_that_does_not_answer_is_replaced_unasked(bench: InstanceBench, found: Found) -> None:
    made = bench.make(disk=disk(10))
    if found is Found.MISSING:
        bench.lab.cpi.lose_vm(made.vm.cid)  # type: ignore[union-attr,arg-type]
    after = bench.update(made, wanted(made), action=Action.RECREATE, found=found)
    assert bench.machine(made).calls == []
    assert cid_of(after) != cid_of(made)
    assert after.disks == made.disks
    assert list(bench.lab.cpi.vms) == [cid_of(after)]


def test_a_vm_the_plans_create_made_is_not_made_again(bench: InstanceBench) -> None:
    made = bench.make()
    before = replace(made, vm=None)
    after = bench.update(before, wanted(made), action=Action.RECREATE, found=Found.NO_VM)
    assert bench.machine(made).calls == ["apply", "start", "close"]
    assert bench.cloud_calls() == []
    assert after.vm == made.vm


def test_stopped_keeps_the_vm_and_detached_only_the_disk(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    stopped = bench.update(made, wanted(made), state="stopped")
    assert bench.machine(made).state().job_state == "stopped"
    assert (stopped.state, stopped.vm) == (DesiredState.STOPPED, made.vm)
    detached = bench.update(stopped, wanted(made), state="detached")
    assert (detached.state, detached.vm, detached.disks) == (
        DesiredState.DETACHED,
        None,
        made.disks,
    )
    assert bench.lab.cpi.vms == {}
    started = bench.update(
        detached, wanted(made), state="started", action=Action.RECREATE, found=Found.NO_VM
    )
    assert (started.state, started.disks) == (DesiredState.STARTED, made.disks)
    assert bench.machine(started).state().job_state == "running"


# -- disks -----------------------------------------------------------------------------------------


def test_a_disk_is_added(bench: InstanceBench) -> None:
    made = bench.make()
    after = bench.update(made, wanted(made, disk=disk(10)), disk_changes=True)
    assert bench.cloud_calls() == ["create_disk", "set_disk_metadata", "attach_disk"]
    assert after.active_disk is not None
    assert bench.machine(made).state().disk == f"/dev/memory/{after.active_disk.cid}"


@pytest.mark.parametrize(
    "new", [disk(20), disk(5), disk(10, cloud_properties={"type": "ssd"})], ids=str
)
def test_another_disk_gets_the_data_and_the_old_one_is_orphaned(
    bench: InstanceBench, new: Any
) -> None:
    made = bench.make(disk=disk(10))
    assert made.active_disk is not None
    machine, old = bench.machine(made), made.active_disk.cid
    machine.disks[f"/dev/memory/{old}"]["file"] = b"kept"
    after = bench.update(made, wanted(made, disk=new), disk_changes=True)
    assert after.active_disk is not None
    device = f"/dev/memory/{after.active_disk.cid}"
    assert (machine.state().disk, machine.disks[device]) == (device, {"file": b"kept"})
    assert after.active_disk.size_mb == new.size_mb
    assert [d.cid for d in bench.lab.world.store.disks.orphans()] == [old]
    assert list(bench.lab.cpi.get_disks(made.vm.cid)) == [after.active_disk.cid]  # type: ignore[union-attr,arg-type]


def test_a_disk_of_another_name_is_the_same_disk(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10, type="small"))
    after = bench.update(made, wanted(made, disk=disk(10, type="tiny")))
    assert after.active_disk == made.active_disk
    assert bench.cloud_calls() == []


def test_a_dropped_disk_is_orphaned(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    after = bench.update(made, wanted(made, disk=None), disk_changes=True)
    assert after.active_disk is None
    assert bench.machine(made).state().disk is None
    assert bench.cloud_calls() == ["detach_disk"]
    assert len(bench.lab.world.store.disks.orphans()) == 1
    assert ("orphan", "disk") in [(e.action, e.object_type) for e in bench.heard.audited]


def test_what_was_left_half_done_is_looked_at_again(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    vm = made.vm
    assert vm is not None
    assert vm.cid is not None
    stray = bench.lab.cpi.create_disk(20, {}, vm.cid, token="stray")
    bench.lab.cpi.attach_disk(vm.cid, stray)
    bench.forget(made)
    dirty = replace(made, dirty=True)
    bench.lab.world.store.instances.save(dirty)
    after = bench.update(dirty, wanted(made))
    assert bench.cloud_calls() == ["detach_disk", "attach_disk"]
    assert "unmount_disk" in bench.machine(made).calls
    assert (after.dirty, after.disks) == (False, made.disks)
    assert bench.lab.cpi.disks[stray]["vm"] is None


# -- how it is asked -------------------------------------------------------------------------------


def test_the_jobs_are_told_what_changes(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    a, b = bench.compiled("a"), bench.compiled("b")
    was = wanted(made, jobs=(digests("same"), digests("other"), digests("gone")), packages=(a,))
    applied = replace(made, spec=was)
    bench.lab.world.store.instances.save(applied)
    new = replace(
        was,
        jobs=(digests("same"), digests("other", templates="t2"), digests("new")),
        packages=(a, b),
        disk=disk(20),
    )
    bench.update(applied, new, disk_changes=True, skip_drain=True)
    (request,) = bench.machine(made).stops
    assert request.changed_jobs == {"other", "new"}
    assert request.changed_packages == {"b"}
    assert (request.persistent_disk_mb, request.persistent_disk_next_mb) == (10, 20)
    assert request.skip_drain
    assert set(bench.machine(made).state().packages) == {"a", "b"}


@pytest.mark.parametrize(
    ("changes", "drain", "vm_next"),
    [
        ({}, "update", "keep"),
        ({"disk_changes": True}, "shutdown", "keep"),
        ({"state": "stopped"}, "shutdown", "keep"),
        ({"state": "detached"}, "shutdown", "delete"),
        ({"action": Action.RECREATE}, "shutdown", "delete"),
    ],
    ids=str,
)
def test_drain_is_told_whether_the_jobs_come_back(
    bench: InstanceBench, changes: dict[str, Any], drain: str, vm_next: str
) -> None:
    made = bench.make()
    bench.update(made, wanted(made), **changes)
    (request,) = bench.machine(made).stops
    assert (request.drain, request.vm_next, request.instance_next) == (drain, vm_next, "keep")
    assert not request.skip_drain


def test_canaries_are_watched_as_long_as_canaries_are(bench: InstanceBench) -> None:
    made = bench.make()
    bench.update(made, wanted(made), canary=True)
    bench.update(made, wanted(made))
    assert bench.machine(made).watches == [CANARY, OTHERS]


# -- records ---------------------------------------------------------------------------------------


def test_what_only_goes_by_another_name_is_recorded(bench: InstanceBench) -> None:
    made = bench.make()
    renamed = wanted(made, index=3, bootstrap=False, tags={"a": "b"})
    after = bench.update(made, renamed, action=Action.RECORD)
    assert (after.index, after.bootstrap, after.spec) == (3, False, renamed)
    assert bench.machine(made).calls == []
    assert bench.cloud_calls() == ["set_vm_metadata"]
    assert bench.lab.cpi.vms[cid_of(made)]["metadata"]["index"] == "3"


@pytest.mark.parametrize("method", ["prepare", "stop", "apply", "start"])
def test_a_failure_leaves_the_evidence_and_the_next_run_goes_on(
    bench: InstanceBench, method: str
) -> None:
    made = bench.make(disk=disk(10))
    machine = bench.machine(made)
    machine.fail_next(method, InstanceNotRunning("it does not run"))
    new = wanted(made, tags={"a": "b"})
    with pytest.raises(InstanceNotRunning):
        bench.update(made, new)
    failed = bench.lab.recorded(made.id)
    assert (failed.dirty, failed.spec, failed.vm) == (True, made.spec, made.vm)
    assert machine.calls[-1] == "close"
    (told,) = bench.heard.audited
    assert (told.action, told.object_name, told.error) == ("update", made.name, "it does not run")
    assert not bench.update(failed, new).dirty


def test_a_recreate_that_fails_leaves_the_new_vm(bench: InstanceBench) -> None:
    made = bench.make(disk=disk(10))
    bench.machine(made).fail_next("unmount_disk", MachineError("busy"))
    with pytest.raises(MachineError):
        bench.update(made, wanted(made), action=Action.RECREATE)
    assert list(bench.lab.cpi.vms) == [cid_of(made)], "its disk is still in use"
    assert bench.lab.recorded(made.id).dirty

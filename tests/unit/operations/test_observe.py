"""Looking at what is there: one question to a VM that answers, more to one that does not."""

from __future__ import annotations

import pytest
from worlds import Heard, MemoryWorld, manifest

from director.model.errors import MachineUnreachable, TaskCancelled
from director.model.instances import Found
from director.operations import head_start
from director.operations import observe as observing
from director.operations.deploy import deploy


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "PATIENCE_S", 0.0)


@pytest.fixture
def deployed(lab: MemoryWorld) -> MemoryWorld:
    lab.run(deploy, manifest=manifest(instances=4), options={})
    return lab


def test_each_is_found_as_it_is(deployed: MemoryWorld) -> None:
    answering, silent, lost, detached = deployed.instances()
    assert silent.vm is not None
    assert lost.vm is not None
    assert lost.vm.cid is not None
    assert detached.vm is not None
    deployed.silent.add(silent.vm.agent_id)
    deployed.cpi.lose_vm(lost.vm.cid)
    deployed.world.store.vms.delete(detached.vm.agent_id)
    deployed.cpi._calls.clear()
    found = observing.observe(deployed.world, Heard().run(), deployed.instances())
    assert [f.recorded.id for f in found] == [i.id for i in (answering, silent, lost, detached)]
    assert [(f.found, f.why) for f in found] == [
        (Found.RESPONSIVE, ""),
        (Found.UNRESPONSIVE, "port 22 is closed"),
        (Found.MISSING, f"VM '{lost.vm.cid}' is gone"),
        (Found.NO_VM, ""),
    ]
    assert {call.arguments for call in deployed.cpi.calls()} == {(silent.vm.cid,), (lost.vm.cid,)}


def test_a_cancelled_task_looks_no_further(deployed: MemoryWorld) -> None:
    heard = Heard()
    run = heard.run()
    object.__setattr__(run, "cancelled", lambda: True)
    with pytest.raises(TaskCancelled):
        observing.observe(deployed.world, run, deployed.instances())


def test_a_silent_vm_is_replaced_only_when_asked(deployed: MemoryWorld) -> None:
    silent = deployed.instances()[1]
    assert silent.vm is not None
    deployed.silent.add(silent.vm.agent_id)
    with pytest.raises(MachineUnreachable) as caught:
        deployed.run(deploy, manifest=manifest(instances=4), options={})
    assert f"{silent.label}: port 22 is closed" in caught.value.what
    assert "--fix" in str(caught.value.fix)
    assert deployed.instances()[1] == silent
    deployed.run(deploy, manifest=manifest(instances=4), options={"fix": True})
    fixed = deployed.instances()[1]
    assert fixed.vm is not None
    assert fixed.vm.agent_id != silent.vm.agent_id
    assert fixed.disks == silent.disks


def test_observing_beside_something_else(deployed: MemoryWorld) -> None:
    instances = deployed.instances()
    with observing.observing(deployed.world, Heard().run(), instances) as found:
        assert [f.found for f in found()] == [Found.RESPONSIVE] * 4


def test_who_leaves_early_does_not_wait_for_silent_vms(
    deployed: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "PATIENCE_S", 3600.0)
    instances = deployed.instances()
    deployed.silent.update(i.vm.agent_id for i in instances if i.vm is not None)
    with (
        pytest.raises(ValueError, match="the manifest is wrong"),
        observing.observing(deployed.world, Heard().run(), instances),
    ):
        raise ValueError("the manifest is wrong")


def test_a_head_start_changes_nothing(lab: MemoryWorld) -> None:
    """The first deploy has no releases to go by; the second warms up what renders them."""
    lab.run(head_start.deploy, manifest=manifest(), options={})
    once = lab.instances()
    lab.run(head_start.deploy, manifest=manifest(), options={})
    assert lab.instances() == once
    assert len(once) == 2

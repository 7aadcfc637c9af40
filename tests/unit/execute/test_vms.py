"""VMs asked for and given back: whatever goes wrong, none is left that nobody knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import manual_place, recorded_disk, spec
from instance_bench import InstanceBench

from cpis.contract import CloudError
from cpis.memory.faults import Fault, FaultKind
from director.execute.retry import CREATE_VM_TRIES, retry_cloud
from director.execute.vms import create_vm, delete_leftovers, delete_vm
from director.model.errors import MachineUnreachable, TaskCancelled
from director.model.ids import AgentId
from director.model.instances import RecordedInstance, RecordedVm


def create(bench: InstanceBench, **changes: Any) -> RecordedVm:
    (stemcell,) = bench.lab.world.store.stemcells.list()
    values: dict[str, Any] = {
        "deployment": "dep",
        "stemcell": stemcell,
        "cloud_properties": {"memory": 256},
        "networks": (manual_place(),),
        "env": {},
        "tags": {"a": "b"},
    }
    return create_vm(bench.lab.world, bench.heard.run(), **{**values, **changes})


def nothing_left(bench: InstanceBench) -> bool:
    return bench.lab.cpi.vms == {} and bench.lab.world.store.vms.list() == []


def test_a_vm_is_recorded_with_what_the_cloud_gave(bench: InstanceBench) -> None:
    env = {"bosh": {"authorized_keys": ["theirs"], "password": "x"}}
    vm = create(bench, env=env)
    assert bench.lab.world.store.vms.list() == [vm]
    assert (vm.ips, vm.created_at, vm.stemcell) == (("10.0.0.2",), 1000.0, "s/1")
    (call,) = bench.lab.cpi.calls("create_vm")
    sent = call.arguments[-1]["bosh"]
    assert sent["authorized_keys"] == ["theirs", bench.lab.world.login_public_key]
    assert sent["ssh_host_key"]["public_key"] == vm.host_public_key
    assert (sent["password"], sent["group"]) == ("x", "director-dep-compilation")
    assert bench.lab.cpi.vms[str(vm.cid)]["metadata"] == {"a": "b"}
    delete_vm(bench.lab.world, bench.heard.run(), vm)
    delete_vm(bench.lab.world, bench.heard.run(), vm)
    assert nothing_left(bench)


def test_an_instances_vm_is_told_its_group(bench: InstanceBench) -> None:
    row = RecordedInstance(id=spec().id, deployment="dep", group="redis", index=0)
    bench.lab.world.store.instances.save(row)
    vm = create(bench, spec=spec())
    assert vm.instance_id == "i0"
    (call,) = bench.lab.cpi.calls("create_vm")
    assert call.arguments[-1]["bosh"]["group"] == "director-dep-redis"


def test_a_refused_vm_leaves_no_record(bench: InstanceBench) -> None:
    bench.lab.cpi.inject(Fault(method="create_vm"))
    with pytest.raises(CloudError):
        create(bench)
    assert nothing_left(bench)


def test_a_lost_answer_leaves_the_intent_to_find_the_vm_by(bench: InstanceBench) -> None:
    bench.lab.cpi.inject(Fault(method="create_vm", kind=FaultKind.FAIL_AFTER))
    with pytest.raises(CloudError):
        create(bench)
    (intent,) = bench.lab.world.store.vms.list()
    assert intent.cid is None
    assert len(bench.lab.cpi.vms) == 1
    delete_leftovers(bench.lab.world, bench.heard.run(), "dep")
    assert nothing_left(bench)


@pytest.mark.parametrize("kind", [FaultKind.VM_DIES, None], ids=["dead", "silent"])
def test_a_vm_that_never_answers_is_deleted_and_its_console_shown(
    bench: InstanceBench, kind: FaultKind | None
) -> None:
    if kind is not None:
        bench.lab.cpi.inject(Fault(method="create_vm", kind=kind))
    else:
        bench.lab.silent.add("00000000-0000-4000-8000-000000000001")
    with pytest.raises(
        MachineUnreachable, match="did not answer: port 22 is closed\nconsole:\n  boot"
    ):
        create(bench)
    assert nothing_left(bench)


def test_a_failure_after_the_vm_was_made_deletes_it(bench: InstanceBench) -> None:
    bench.lab.cpi.inject(Fault(method="set_vm_metadata"))
    with pytest.raises(CloudError):
        create(bench)
    assert nothing_left(bench)


# -- leftovers -------------------------------------------------------------------------------------


def test_leftovers_go_and_what_is_in_use_stays(bench: InstanceBench) -> None:
    store, cpi = bench.lab.world.store, bench.lab.cpi
    made = bench.make(disk=None)
    store.vms.intend(RecordedVm(agent_id=AgentId("never"), deployment="dep"))
    create(bench, networks=(manual_place("10.0.0.9"),))
    asked = cpi.create_disk(10, {}, None, token="asked")
    unused = cpi.create_disk(10, {}, None, token="unused")
    row = recorded_disk(made.id, 10, cid=None, active=False, instance_name=made.name)
    store.disks.intend(replace(row, token="asked"))
    store.disks.intend(replace(row, token="never"))
    store.disks.intend(replace(row, token="unused"))
    store.disks.created("unused", unused)
    delete_leftovers(bench.lab.world, bench.heard.run(), "dep")
    assert [vm.instance_id for vm in store.vms.list()] == [made.id]
    assert len(cpi.vms) == 1
    assert asked not in cpi.disks
    assert [disk.cid for disk in store.disks.orphans()] == [unused]
    assert store.disks.list() == []


# -- asking again ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "ok_to_retry", "tried"),
    [(0, True, 1), (4, True, 5), (1, False, 1), (9, True, CREATE_VM_TRIES)],
)
def test_only_what_is_safe_is_tried_again(failures: int, ok_to_retry: bool, tried: int) -> None:
    calls: list[int] = []
    pauses: list[float] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= failures:
            raise CloudError("no", ok_to_retry=ok_to_retry)
        return "made"

    if failures < tried:
        assert retry_cloud(call, sleep=pauses.append) == "made"
    else:
        with pytest.raises(CloudError):
            retry_cloud(call, sleep=pauses.append)
    assert len(calls) == tried
    assert pauses == [0.2 * 2**n for n in range(tried - 1)]


def test_a_cancelled_task_asks_no_more() -> None:
    def call() -> None:
        raise CloudError("no", ok_to_retry=True)

    def cancelled() -> None:
        raise TaskCancelled("stop")

    with pytest.raises(TaskCancelled):
        retry_cloud(call, checkpoint=cancelled, sleep=lambda _: None)

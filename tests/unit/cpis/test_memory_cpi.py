"""The memory CPI's own promises: faults on order, a log, a file that outlives it, and speed."""

from __future__ import annotations

import pytest

from cpis.contract import CloudError
from cpis.memory import Fault, MemoryCpi
from cpis.memory.faults import FaultKind


def vm(cpi: MemoryCpi, n: int = 0):
    network = {"type": "manual", "ip": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"}
    stemcell = next(iter(cpi.stemcells), None) or cpi.create_stemcell("image", {})
    return cpi.create_vm(f"agent-{n}", stemcell, {}, {"a": network}, [], {})[0]


def test_the_nth_call_fails_and_nothing_is_made() -> None:
    fault = {"method": "create_vm", "nth": 2, "message": "no quota", "ok_to_retry": True}
    cpi = MemoryCpi({"faults": [fault]})
    vm(cpi, 0)
    with pytest.raises(CloudError, match="no quota") as caught:
        vm(cpi, 1)
    assert caught.value.ok_to_retry
    assert cpi.find_vm("agent-1") is None
    vm(cpi, 1)


def test_a_call_may_fail_after_it_acted() -> None:
    cpi = MemoryCpi({})
    cpi.inject(Fault(method="create_vm", kind=FaultKind.FAIL_AFTER, match="agent-1"))
    vm(cpi, 0)
    with pytest.raises(CloudError):
        vm(cpi, 1)
    assert cpi.find_vm("agent-1") == vm(cpi, 1)


def test_delays_sleep_and_dead_vms_are_there() -> None:
    slept: list[float] = []
    cpi = MemoryCpi({}, sleep=slept.append)
    cpi.inject(Fault(method="create_vm", kind=FaultKind.DELAY, nth=None, delay_s=3))
    cpi.inject(Fault(method="create_vm", kind=FaultKind.VM_DIES))
    dead, alive = vm(cpi, 0), vm(cpi, 1)
    assert slept == [3, 3]
    assert cpi.has_vm(dead)
    assert [cpi.is_running(cid) for cid in (dead, alive)] == [False, True]
    cpi.reboot_vm(dead)
    assert cpi.is_running(dead)
    cpi.lose_vm(alive)
    assert not cpi.has_vm(alive)


def test_calls_are_logged_with_their_errors_and_without_showing_arguments() -> None:
    cpi = MemoryCpi({"faults": [{"method": "delete_vm"}]})
    cid = vm(cpi)
    with pytest.raises(CloudError):
        cpi.delete_vm(cid)
    cpi.delete_vm(cid)
    assert [bool(call.error) for call in cpi.calls("delete_vm")] == [True, False]
    assert "agent-0" not in repr(cpi.calls())


@pytest.mark.parametrize(
    "properties",
    [{"fault": []}, {"faults": [{"kind": "fail"}]}, {"faults": [{"method": "m", "kind": "odd"}]}],
)
def test_wrong_properties_are_refused(properties: dict) -> None:
    with pytest.raises(CloudError):
        MemoryCpi(properties)


def test_a_file_keeps_the_cloud_over_a_crash_in_the_middle_of_a_line(tmp_path) -> None:
    file = tmp_path / "cloud"
    first = MemoryCpi({"state_file": str(file)})
    cid = vm(first)
    disk = first.create_disk(10, {}, None, token="t")
    first.attach_disk(cid, disk)
    whole = file.stat().st_size
    with file.open("ab") as stream:
        stream.write(b'["vms", "vm-9", {"agent')
    second = MemoryCpi({"state_file": str(file)})
    assert second.find_vm("agent-0") == cid
    assert second.get_disks(cid) == [disk]
    assert file.stat().st_size == whole
    second.delete_vm(cid)
    assert not first.has_vm(cid), "what one process does, the other sees"
    assert vm(first, 1) != cid


def test_holds_ten_thousand_vms() -> None:
    cpi = MemoryCpi({})
    cids = [vm(cpi, n) for n in range(10_000)]
    for cid in cids:
        cpi.attach_disk(cid, cpi.create_disk(10, {}, cid, token=cid))
    for cid in cids:
        cpi.delete_vm(cid)
    assert cpi.vms == {}

"""VMs that present no host key of ours: who logs in, which key counts, what a crash leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import manual_place, spec
from instance_bench import InstanceBench

from cpis.contract import CpiInfo
from director.execute.vms import create_vm, delete_leftovers
from director.machine.host_keys import fingerprint, new_host_key
from director.model.errors import MachineUnreachable
from director.model.instances import RecordedInstance, RecordedVm

SHOWN = new_host_key().public_key


@pytest.fixture
def foreign(bench: InstanceBench, monkeypatch: pytest.MonkeyPatch) -> InstanceBench:
    """A cloud that injects no host keys, like BOSH's own CPIs; its VMs show ``SHOWN``."""
    monkeypatch.setattr(bench.lab.cpi, "info", lambda: CpiInfo(host_keys=False))
    show(bench, lambda vm: SHOWN)
    return bench


def show(bench: InstanceBench, shown: Callable[[RecordedVm], str]) -> None:
    bench.lab.world = replace(bench.lab.world, host_key_of=shown)


def create(bench: InstanceBench, **changes: Any) -> RecordedVm:
    (stemcell,) = bench.lab.world.store.stemcells.list()
    values: dict[str, Any] = {"env": {}, **changes}
    return create_vm(
        bench.lab.world,
        bench.heard.run(),
        deployment="dep",
        stemcell=stemcell,
        cloud_properties={},
        networks=(manual_place(),),
        tags={},
        **values,
    )


def told(bench: InstanceBench) -> dict[str, Any]:
    """What the last VM was told in ``env.bosh``."""
    bosh: dict[str, Any] = bench.lab.cpi.calls("create_vm")[-1].arguments[-1]["bosh"]
    return bosh


def test_the_first_key_seen_is_pinned_with_a_warning(foreign: InstanceBench) -> None:
    vm = create(foreign)
    assert (vm.login_user, vm.host_public_key) == ("vcap", SHOWN)
    assert foreign.lab.world.store.vms.list() == [vm]
    (warning,) = foreign.heard.warnings
    assert fingerprint(SHOWN) in warning
    assert "10.0.0.2" in warning
    assert str(vm.cid) in warning


def test_the_vm_is_told_no_private_key_and_a_password_of_its_own(foreign: InstanceBench) -> None:
    world = foreign.lab.world
    one = create(foreign)
    bosh = told(foreign)
    assert "ssh_host_key" not in bosh
    assert bosh["authorized_keys"] == [world.login_public_key]
    password = world.vm_password(one.agent_id)
    kind, salt = bosh["password"].split("$")[1:3]
    made = subprocess.run(
        ["openssl", "passwd", f"-{kind}", "-salt", salt, "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout.strip() == bosh["password"]
    assert len(password) > 40
    assert world.vm_password(one.agent_id) == password
    other = RecordedVm(agent_id=type(one.agent_id)("other"), deployment="dep")
    assert world.vm_password(other.agent_id) != password


def test_what_the_operator_says_stays(foreign: InstanceBench) -> None:
    create(foreign, env={"bosh": {"password": "$6$theirs", "authorized_keys": ["theirs"]}})
    bosh = told(foreign)
    assert bosh["password"] == "$6$theirs"
    assert bosh["authorized_keys"] == ["theirs", foreign.lab.world.login_public_key]


def test_a_vm_with_our_own_key_is_known_from_the_start(bench: InstanceBench) -> None:
    def never(vm: RecordedVm) -> str:
        raise AssertionError("nobody has to look")

    show(bench, never)
    vm = create(bench)
    assert vm.login_user == "root"
    assert "password" not in told(bench)
    assert bench.heard.warnings == []
    assert bench.lab.machines == {}, "and nobody logs in"


def test_the_login_may_take_a_while(
    foreign: InstanceBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("director.execute.access._PAUSE_S", 0.0)
    foreign.lab.world = replace(foreign.lab.world, boot_timeout_s=60)
    real = foreign.lab.connect

    def connect(vm: RecordedVm, cancelled: Callable[[], bool]) -> Any:
        machine = real(vm, cancelled)
        machine.fail_next("state", MachineUnreachable("authentication failed"), times=3)
        return machine

    foreign.lab.world = replace(foreign.lab.world, connect=connect)
    vm = create(foreign)
    assert foreign.lab.machines[vm.agent_id].calls == [*["state"] * 4, "close"]


def test_a_vm_that_lets_nobody_in_is_deleted(foreign: InstanceBench) -> None:
    real = foreign.lab.connect

    def connect(vm: RecordedVm, cancelled: Callable[[], bool]) -> Any:
        machine = real(vm, cancelled)
        machine.fail_next("state", MachineUnreachable("authentication failed"), times=9)
        return machine

    foreign.lab.world = replace(foreign.lab.world, connect=connect)
    with pytest.raises(MachineUnreachable, match="authentication failed"):
        create(foreign)
    assert foreign.lab.cpi.vms == {}
    assert foreign.lab.world.store.vms.list() == []


def test_a_director_that_died_before_it_met_the_vm_leaves_none(foreign: InstanceBench) -> None:
    monkeypatch = pytest.MonkeyPatch()

    class Killed(BaseException):
        pass

    def die(vm: RecordedVm) -> str:
        monkeypatch.setattr(foreign.lab.cpi, "delete_vm", refuse)
        raise Killed

    def refuse(cid: str) -> None:
        raise Killed

    wanted = spec()
    world = foreign.lab.world
    world.store.instances.save(
        RecordedInstance(id=wanted.id, deployment="dep", group="redis", index=0, dirty=True)
    )
    show(foreign, die)
    with pytest.raises(Killed):
        create(foreign, spec=wanted)
    monkeypatch.undo()
    (left,) = world.store.vms.list()
    assert (left.cid is not None, left.host_public_key) == (True, "")
    delete_leftovers(world, foreign.heard.run(), "dep")
    assert foreign.lab.cpi.vms == {}
    assert world.store.vms.list() == []


def test_whoever_saw_a_key_first_decides(foreign: InstanceBench) -> None:
    vms = foreign.lab.world.store.vms
    vms.intend(RecordedVm(agent_id=type(create(foreign).agent_id)("a"), deployment="dep"))
    (fresh,) = (vm for vm in vms.list() if vm.agent_id == "a")
    assert vms.pin(fresh.agent_id, "ssh-ed25519 AAAA") == "ssh-ed25519 AAAA"
    assert vms.pin(fresh.agent_id, "ssh-ed25519 BBBB") == "ssh-ed25519 AAAA"

"""The conformance suite itself: it finds broken promises, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cpis.conformance.lab import Given, Lab, NotConforming, agent_of
from cpis.conformance.suite import CHECKS, REAL_CHECKS, checks_for, run_all, run_check, sweep
from cpis.contract import CloudError, CpiInfo, NotSupportedByCpi
from cpis.memory import Fault, MemoryCpi
from cpis.memory.faults import FaultKind

DYNAMIC = {"default": {"type": "dynamic", "cloud_properties": {}}}
BY_NAME = {check.__name__: check for check in CHECKS}


def networks(n: int) -> dict[str, Any]:
    return {"default": {"type": "manual", "ip": f"10.0.0.{10 + n}", "cloud_properties": {}}}


GIVEN = Given(image_path="image", networks=networks, env={}, dynamic=DYNAMIC, run_id="r1")


def left(cpi: MemoryCpi) -> list[str]:
    rows = cpi._cloud.rows
    return [cid for table in ("stemcells", "vms", "disks", "snapshots") for cid in rows[table]]


# -- broken promises -------------------------------------------------------------------------------


class NeverFinds(MemoryCpi):
    def find_vm(self, agent_id):
        return None

    def find_disk(self, token):
        return None


class AnotherVmEachTime(MemoryCpi):
    def create_vm(self, agent_id, *rest):
        return super().create_vm(f"{agent_id}-{len(self.vms)}", *rest)


class AttachesWhatItMakes(MemoryCpi):
    def create_vm(self, agent_id, stemcell, properties, nets, disks, env):
        cid, given = super().create_vm(agent_id, stemcell, properties, nets, disks, env)
        for disk in disks:
            self.attach_disk(cid, disk)
        return cid, given


class StealsDisks(MemoryCpi):
    def attach_disk(self, vm_cid, disk_cid):
        self._cloud.vm(vm_cid)
        row = self._cloud.disk(disk_cid)
        self._cloud.put("disks", disk_cid, {**row, "vm": vm_cid})
        return f"/dev/memory/{disk_cid}"


class LosesDisksWithTheirVm(MemoryCpi):
    def delete_vm(self, cid):
        disks = [disk for disk, row in self.disks.items() if row["vm"] == cid]
        super().delete_vm(cid)
        for disk in disks:
            self.delete_disk(disk)


class NamesNoPath(MemoryCpi):
    def attach_disk(self, vm_cid, disk_cid):
        super().attach_disk(vm_cid, disk_cid)
        return "sdf /dev/sdf"


class Shrinks(MemoryCpi):
    def resize_disk(self, cid, size_mb):
        self._cloud.put("disks", cid, {**self._cloud.disk(cid), "size_mb": size_mb})


class DetachesSilently(MemoryCpi):
    def detach_disk(self, vm_cid, disk_cid):
        self._cloud.vm(vm_cid)
        row = self._cloud.disk(disk_cid)
        self._cloud.put("disks", disk_cid, {**row, "vm": None})


class RefusesUsedAddressesTooLate(MemoryCpi):
    def create_vm(self, agent_id, stemcell, properties, nets, disks, env):
        taken = {vm["networks"]["default"].get("ip"): cid for cid, vm in self.vms.items()}
        made = super().create_vm(
            agent_id, stemcell, properties, {"default": {"type": "dynamic"}}, disks, env
        )
        if nets["default"].get("ip") in taken and self.vms[made[0]]["agent_id"] == agent_id:
            raise CloudError("that address is taken")
        return made[0], nets


class Raises(MemoryCpi):
    def has_disk(self, cid):
        raise KeyError("disks")


class NoSuchThingAsGone(MemoryCpi):
    def delete_disk(self, cid):
        self._cloud.disk(cid)
        super().delete_disk(cid)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (NeverFinds, "makes_and_deletes_a_vm"),
        (NeverFinds, "repeats_the_same_disk"),
        (AnotherVmEachTime, "repeats_the_same_vm"),
        (AnotherVmEachTime, "serves_many_threads"),
        (AttachesWhatItMakes, "makes_things_near_each_other"),
        (StealsDisks, "keeps_disks_apart"),
        (LosesDisksWithTheirVm, "frees_the_disks_of_a_deleted_vm"),
        (NamesNoPath, "attaches_and_detaches"),
        (Shrinks, "resizes_disks"),
        (DetachesSilently, "attaches_and_detaches"),
        (DetachesSilently, "keeps_disks_apart"),
        (RefusesUsedAddressesTooLate, "refuses_an_address_that_is_taken"),
        (NoSuchThingAsGone, "makes_and_deletes_a_disk"),
    ],
)
def test_a_broken_promise_is_found(broken: type[MemoryCpi], check: str) -> None:
    (outcome,) = run_all(broken({}), GIVEN, checks=[BY_NAME[check]])
    assert outcome.problem
    assert not outcome.trace


def test_what_no_cpi_should_raise_is_a_finding() -> None:
    first, second = run_all(
        Raises({}), GIVEN, checks=[BY_NAME["makes_and_deletes_a_disk"], BY_NAME["resizes_disks"]]
    )
    assert first.problem == "raised KeyError: 'disks'"
    assert "in has_disk" in first.trace
    assert (second.problem, second.trace) == ("", "")


def test_what_a_cloud_cannot_do_is_told_and_no_failure() -> None:
    class Small(MemoryCpi):
        def resize_disk(self, cid, size_mb):
            raise NotSupportedByCpi("disks do not grow here")

        def info(self):
            return CpiInfo(stemcell_formats=("raw",), finds=False)

    outcomes = {o.name: o for o in run_all(Small({}), replace(GIVEN, dynamic=None))}
    assert not any(o.problem for o in outcomes.values())
    skipped = {name: o.skipped for name, o in outcomes.items() if o.skipped}
    assert skipped["resizes_disks"] == "disks do not grow here"
    assert skipped["picks_dynamic_addresses"] == "no dynamic network was given"
    assert {"repeats_the_same_vm", "repeats_the_same_disk"} < set(skipped)
    assert len(skipped) == 4


# -- what is left behind ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["create_vm", "create_disk", "attach_disk", "snapshot_disk"])
def test_a_call_that_fails_after_acting_leaves_nothing(method: str) -> None:
    for check in CHECKS:
        cpi = MemoryCpi({})
        cpi.inject(Fault(method=method, kind=FaultKind.FAIL_AFTER, nth=2))
        list(run_all(cpi, GIVEN, checks=[check]))
        # What has neither a CID nor a token cannot be found again: a snapshot whose call failed.
        assert [cid for cid in left(cpi) if not cid.startswith("snapshot-")] == [], check.__name__


@pytest.mark.parametrize("method", ["attach_disk", "create_vm", "delete_disk"])
def test_ctrl_c_leaves_nothing(method: str) -> None:
    class Interrupted(MemoryCpi):
        calls_left = 3

    def interrupt(self: Any, *args: Any, **kwargs: Any) -> Any:
        done = getattr(MemoryCpi, method)(self, *args, **kwargs)
        Interrupted.calls_left -= 1
        if Interrupted.calls_left == 0:
            raise KeyboardInterrupt
        return done

    setattr(Interrupted, method, interrupt)
    cpi = Interrupted({})
    with pytest.raises(KeyboardInterrupt):
        list(run_all(cpi, GIVEN))
    assert left(cpi) == []


def test_leaving_a_run_early_deletes_the_stemcell() -> None:
    cpi = MemoryCpi({})
    run = run_all(cpi, GIVEN)
    next(run)
    run.close()
    assert left(cpi) == []


def test_a_delete_that_may_be_retried_is() -> None:
    cpi = MemoryCpi({})
    for method in ("delete_vm", "delete_disk"):
        cpi.inject(Fault(method=method, nth=1, times=2, ok_to_retry=True))
    stemcell = cpi.create_stemcell("image", {})
    with Lab(cpi, GIVEN, stemcell, "check") as lab:
        lab.cpi.attach_disk(lab.vm()[0], lab.disk())
    assert left(cpi) == [stemcell]


def test_what_stays_behind_is_told() -> None:
    cpi = MemoryCpi({})
    cpi.inject(Fault(method="delete_vm", nth=None, message="no, not now"))
    stemcell = cpi.create_stemcell("image", {})

    def passes(lab: Lab) -> None:
        lab.vm()

    def fails(lab: Lab) -> None:
        lab.vm(1)
        raise NotConforming("a promise")

    with pytest.raises(NotConforming, match="could not be removed: no, not now"):
        run_check(passes, cpi, GIVEN, stemcell)
    check, stemcell_left = run_all(cpi, GIVEN, checks=[fails])
    assert check.problem == "a promise; could not be removed: no, not now"
    assert "is in use by the VM" in stemcell_left.problem


def test_what_a_killed_run_left_is_swept_up() -> None:
    cpi = MemoryCpi({})
    stemcell = cpi.create_stemcell("image", {})

    def killed(self: Lab, *_: object) -> None:
        self._vms.clear()

    class Killed(Lab):
        __exit__ = killed

    for check in CHECKS:
        try:
            with Killed(cpi, GIVEN, stemcell, check.__name__) as lab:
                for n in range(GIVEN.vms):
                    cpi.create_vm(lab.agent(n), stemcell, {}, {}, [], {})
                cpi.attach_disk(cpi.find_vm(lab.agent()), lab.disk())
                lab.disk()
        except CloudError:
            pytest.fail("the cloud has room for all")
    other = cpi.create_vm(agent_of("r2", CHECKS[0].__name__, 0), stemcell, {}, {}, [], {})[0]
    removed = sweep(cpi, GIVEN)
    assert len(removed) == len(CHECKS) * (GIVEN.vms + 2)
    assert left(cpi) == [stemcell, other]


# -- what is used ----------------------------------------------------------------------------------


def most_at_once(given: Given) -> tuple[int, int]:
    """Return the most VMs there were at once, and how many were made in all."""
    most = 0
    made: set[str] = set()

    class Counting(MemoryCpi):
        def create_vm(self, *args):
            nonlocal most
            done = super().create_vm(*args)
            made.add(done[0])
            most = max(most, len(self.vms))
            return done

    outcomes = list(run_all(Counting({}), given))
    assert not any(outcome.problem for outcome in outcomes)
    return most, len(made)


@pytest.mark.parametrize("vms", [2, 4, 6])
def test_no_more_vms_than_given(vms: int) -> None:
    def few(n: int) -> dict[str, Any]:
        assert n < vms
        return networks(n)

    most, _ = most_at_once(replace(GIVEN, vms=vms, networks=few))
    assert most == vms


def test_as_many_vms_as_the_command_says() -> None:
    _, made = most_at_once(GIVEN)
    assert 25 <= made <= 33


def test_ids_are_good_as_host_names_and_client_tokens() -> None:
    for check in (*CHECKS, *REAL_CHECKS):
        for suffix in (0, "dshared"):
            name = agent_of("abcdef", check.__name__, suffix)
            assert len(f"vm-{name}") <= 63
            assert name.replace("-", "").isalnum()


def test_logging_in_is_checked_only_where_it_can_be() -> None:
    run: Callable[..., str] = lambda *_: ""  # noqa: E731
    assert checks_for(GIVEN) == CHECKS
    assert checks_for(replace(GIVEN, run=run)) == (*CHECKS, *REAL_CHECKS)

"""Checks of stemcells and VMs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cpis.conformance.lab import (
    DoesNotApply,
    Lab,
    require,
    require_error,
    require_finding,
)
from cpis.contract import CloudError, VmNotFound
from director.model.ids import AgentId, StemcellCid, VmCid

NO_VM = VmCid("vm-that-never-was")
METADATA = {
    "director": "director",
    "deployment": "conformance",
    "instance_group": "web",
    "job": "web",
    "id": "6d1f44f4-1b5c-4c5e-9a53-0d5b3a4c8f11",
    "index": "0",
    "name": "web/6d1f44f4-1b5c-4c5e-9a53-0d5b3a4c8f11",
}
"""What a director says of a VM."""


def tells_of_itself(lab: Lab) -> None:
    """Info gives version 2 of the protocol and the stemcell formats."""
    info = lab.cpi.info()
    require(info.api_version == 2, "api_version is 2")
    require(bool(info.stemcell_formats), "stemcell_formats is not empty")


def makes_and_deletes_stemcells(lab: Lab) -> None:
    """Two uploads are two stemcells, unless the image was there; deleting twice is no error."""
    first = lab.another_stemcell()
    if not lab.given.light:
        require(first != lab.stemcell, "the same image uploaded again is another stemcell")
    lab.cpi.delete_stemcell(first)
    lab.cpi.delete_stemcell(first)
    lab.vm()


def makes_and_deletes_a_vm(lab: Lab) -> None:
    """A VM is there after create_vm, and gone after delete_vm, which may be called again."""
    cid, _ = lab.vm()
    require(lab.cpi.has_vm(cid), "has_vm is true for a new VM")
    finds = lab.cpi.info().finds
    if finds:
        require(lab.cpi.find_vm(lab.agent()) == cid, "find_vm finds it by its agent id")
    require(list(lab.cpi.get_disks(cid)) == [], "a new VM has no disks")
    lab.cpi.delete_vm(cid)
    require(not lab.cpi.has_vm(cid), "has_vm is false for a deleted VM")
    if finds:
        require(lab.cpi.find_vm(lab.agent()) is None, "find_vm does not find a deleted VM")
    lab.cpi.delete_vm(cid)
    lab.cpi.delete_vm(NO_VM)
    require(not lab.cpi.has_vm(NO_VM), "has_vm is false for what never was")


def repeats_the_same_vm(lab: Lab) -> None:
    """create_vm with the same agent id returns the same VM, in this process and in another."""
    require_finding(lab)
    cid, networks = lab.vm()
    require(lab.vm() == (cid, networks), "the same agent id gives the same VM and networks")
    if lab.given.again is not None:
        there = lab.given.again()
        require(there.find_vm(lab.agent()) == cid, "another process finds the VM")
        require(there.has_vm(cid), "another process has the VM")


def returns_networks_as_given(lab: Lab) -> None:
    """create_vm returns every network by its name, manual addresses unchanged."""
    given = lab.given.networks(0)
    _, networks = lab.vm()
    require(set(networks) == set(given), "the same networks come back")
    for name, network in given.items():
        if network.get("type", "manual") == "manual":
            same = networks[name].get("ip") == network["ip"]
            require(same, f"the address on network '{name}' is the one asked for")


def picks_dynamic_addresses(lab: Lab) -> None:
    """A VM on a dynamic network gets an address, and two get two."""
    if lab.given.dynamic is None:
        raise DoesNotApply("no dynamic network was given")
    _, first = lab.vm(0, networks=lab.given.dynamic)
    _, second = lab.vm(1, networks=lab.given.dynamic)
    addresses = [str(n.get("ip") or "") for nets in (first, second) for n in nets.values()]
    require(all(addresses), "every dynamic network has an address")
    require(len(set(addresses)) == len(addresses), "no address is given twice")


def refuses_what_cannot_be(lab: Lab) -> None:
    """A failed create_vm raises CloudError, leaves nothing, and may be called again."""
    wrong = StemcellCid("stemcell-that-never-was")
    require_error(CloudError, "an unknown stemcell", lambda: lab.vm(stemcell_cid=wrong))
    require(lab.cpi.find_vm(lab.agent()) is None, "nothing is left of a refused VM")
    cid, _ = lab.vm(0)
    require(lab.cpi.has_vm(cid), "the same agent id has a VM once nothing is wrong")


def refuses_an_address_that_is_taken(lab: Lab) -> None:
    """Two VMs never share a manual address: the second is refused, and leaves nothing."""
    taken = lab.given.networks(0)
    if all(network.get("type", "manual") != "manual" for network in taken.values()):
        raise DoesNotApply("no manual network was given")
    cid, _ = lab.vm(0)
    require_error(CloudError, "an address that is taken", lambda: lab.vm(1, networks=taken))
    require(lab.cpi.find_vm(lab.agent(1)) is None, "nothing is left of the second VM")
    lab.cpi.delete_vm(cid)
    lab.vm(1, networks=taken)


def names_missing_vms(lab: Lab) -> None:
    """What needs a VM raises VmNotFound without one."""
    cpi = lab.cpi
    disk = lab.disk()
    calls: dict[str, Callable[[], object]] = {
        "reboot_vm": lambda: cpi.reboot_vm(NO_VM),
        "set_vm_metadata": lambda: cpi.set_vm_metadata(NO_VM, {}),
        "get_disks": lambda: cpi.get_disks(NO_VM),
        "attach_disk": lambda: cpi.attach_disk(NO_VM, disk),
        "detach_disk": lambda: cpi.detach_disk(NO_VM, disk),
        "console_output": lambda: cpi.console_output(NO_VM),
    }
    for name, call in calls.items():
        require_error(VmNotFound, f"{name} on a missing VM", call)


def reboots_and_labels(lab: Lab) -> None:
    """A VM outlives reboots and takes the director's metadata, more than once."""
    cid, _ = lab.vm()
    lab.cpi.set_vm_metadata(cid, METADATA)
    lab.cpi.set_vm_metadata(cid, {**METADATA, "index": "1", "owner": "Fish & Chips"})
    lab.cpi.reboot_vm(cid)
    require(lab.cpi.has_vm(cid), "has_vm is true after a reboot")
    require(isinstance(lab.cpi.console_output(cid), str), "console_output gives text")


def sizes_vms(lab: Lab) -> None:
    """calculate_vm_cloud_properties gives what create_vm accepts."""
    properties = lab.cpi.calculate_vm_cloud_properties(lab.given.requirements)
    lab.vm(cloud_properties=properties)


def serves_many_threads(lab: Lab) -> None:
    """VMs made at once are all different; one made by many threads at once is one."""
    last = lab.given.vms - 1
    with ThreadPoolExecutor(lab.given.vms) as threads:
        several = list(threads.map(lab.vm, range(last)))
        # A CPI that finds nothing makes a VM for every call, and nothing is asked of it here.
        calls = 4 if lab.cpi.info().finds else 1
        same = list(threads.map(lambda _: lab.vm(last), range(calls)))
    require(len({cid for cid, _ in several}) == last, f"{last} agents have {last} VMs")
    require(len({cid for cid, _ in same}) == 1, "one agent has one VM")
    with ThreadPoolExecutor(lab.given.vms) as threads:
        list(threads.map(lambda vm: lab.cpi.delete_vm(vm[0]), (*several, *same)))
    require(not any(lab.cpi.has_vm(cid) for cid, _ in (*several, *same)), "all are gone")


def finds_nothing_unknown(lab: Lab) -> None:
    """find_vm and find_disk give None for what nobody made."""
    require(lab.cpi.find_vm(AgentId("nobody")) is None, "find_vm gives None")
    require(lab.cpi.find_disk("nothing") is None, "find_disk gives None")


CHECKS: tuple[Callable[[Lab], None], ...] = (
    tells_of_itself,
    makes_and_deletes_stemcells,
    makes_and_deletes_a_vm,
    repeats_the_same_vm,
    returns_networks_as_given,
    picks_dynamic_addresses,
    refuses_what_cannot_be,
    refuses_an_address_that_is_taken,
    names_missing_vms,
    reboots_and_labels,
    sizes_vms,
    serves_many_threads,
    finds_nothing_unknown,
)

"""Deployments on several clouds: each AZ's VMs, disks and stemcells are its own CPI's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worlds import MemoryWorld, manifest, memory_world, stemcell_tarball

from cpis.contract import CpiInfo, NotImplementedByCpi
from cpis.memory.faults import Fault
from director.model.errors import (
    CpiError,
    DirectorError,
    DiskNotFound,
    PlacementError,
    StemcellInvalid,
    StemcellNotFound,
    VariableError,
)
from director.model.ids import AgentId
from director.model.instances import RecordedInstance
from director.operations.delete_deployment import delete_deployment
from director.operations.delete_stemcell import delete_stemcell
from director.operations.deploy import deploy
from director.operations.disks import attach_disk, orphan_disk
from director.operations.upload_stemcell import upload_stemcell

CLOUD = """
azs: [{name: z1, cpi: %s}, {name: z2, cpi: %s}]
vm_types: [{name: small}]
networks:
- name: default
  subnets:
  - {range: 10.0.1.0/24, gateway: 10.0.1.1, az: z1}
  - {range: 10.0.2.0/24, gateway: 10.0.2.1, az: z2, cloud_properties: {net: ((/net))}}
compilation: {workers: 2, network: default, az: %s, vm_type: small}
"""
ENTRY = "{name: %s, type: memory, migrated_from: %s}"
TWO = "cpis: [{name: a, type: memory}, {name: b, type: memory}]"


def both(**changes: Any) -> str:
    text = (
        manifest(**changes).replace("azs: [z1]", "azs: [z1, z2]").replace("os: os", "os: debian-12")
    )
    return text + "variables: [{name: /net, type: password}]\n"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[MemoryWorld]:
    """A world with the CPIs a (AZ z1) and b (AZ z2), with a stemcell on both."""
    with memory_world(tmp_path, cloud=CLOUD % ("a", "b", "z1")) as lab:
        use(lab, TWO)
        upload(lab, tmp_path)
        yield lab


def use(lab: MemoryWorld, text: str) -> None:
    lab.world.store.configs.create("cpi", "default", text)


def set_cloud(lab: MemoryWorld, text: str) -> None:
    lab.world.store.configs.create("cloud", "default", text)


def upload(lab: MemoryWorld, directory: Path, version: str = "1", **args: Any) -> None:
    lab.run(upload_stemcell, path=str(stemcell_tarball(directory, version)), **args)


def update(lab: MemoryWorld, text: str | None = None) -> str:
    return lab.run(deploy, manifest=text or both(), options={})


def by_az(lab: MemoryWorld) -> dict[str | None, RecordedInstance]:
    return {instance.az: instance for instance in lab.instances()}


def calls(lab: MemoryWorld) -> list[str]:
    changing = ("create_vm", "delete_vm", "create_disk", "attach_disk", "delete_disk")
    return [
        call.method
        for cloud in (lab.cpi, *lab.others.values())
        for call in cloud.calls()
        if call.method in changing
    ]


def warnings(lab: MemoryWorld) -> list[str]:
    return [str(line["message"]) for line in lab.said() if line.get("type") == "warning"]


# -- deploying ------------------------------------------------------------------------------------


def test_everything_is_made_on_the_cpi_of_its_az(two: MemoryWorld) -> None:
    update(two)
    assert two.cpi.vms == two.cpi.disks == {}
    for az, cpi in (("z1", "a"), ("z2", "b")):
        instance = by_az(two)[az]
        cloud = two.cloud(cpi)
        (vm,), (disk,) = cloud.vms.values(), cloud.disks.values()
        assert instance.vm is not None
        assert instance.active_disk is not None
        assert (instance.vm.cpi, instance.active_disk.cpi) == (cpi, cpi)
        assert instance.spec is not None
        assert instance.spec.cpi == cpi
        assert vm["stemcell"] == f"{cpi}-stemcell-1"
        assert disk["vm"] == instance.vm.cid
    # Packages are compiled in AZ z1, for both: that is a's VM for each of the two packages.
    assert len(two.cloud("a").calls("create_vm")) == 3
    assert len(two.cloud("b").calls("create_vm")) == 1
    before = len(calls(two))
    update(two)
    assert len(calls(two)) == before, "nothing changed, so nothing is done"
    two.run(delete_deployment, name="d")
    assert two.cloud("a").vms == two.cloud("b").vms == {}
    assert {d.cpi for d in two.world.store.disks.orphans()} == {"a", "b"}


def test_variables_in_a_networks_cloud_properties_are_filled_in(two: MemoryWorld) -> None:
    update(two)
    (vm,) = two.cloud("b").vms.values()
    properties = vm["networks"]["default"]["cloud_properties"]
    assert len(properties["net"]) == 30, "a password of its own"
    recorded = by_az(two)["z2"]
    assert properties["net"] not in repr(recorded), "it is filled in, not kept"
    assert recorded.vm is not None
    assert recorded.vm.ips == ("10.0.2.2",)


def test_compiling_on_a_cpi_without_the_stemcell_is_refused(tmp_path: Path) -> None:
    cloud = (CLOUD % ("a", "a", "z3")).replace("azs: [", "azs: [{name: z3, cpi: b}, ")
    with memory_world(tmp_path, cloud=cloud.replace("az: z1}", "azs: [z1, z3]}")) as lab:
        use(lab, "cpis: [{name: a, type: memory}]")
        upload(lab, tmp_path)
        use(lab, TWO)
        with pytest.raises(StemcellNotFound, match="compiled on CPI 'b', that of AZ 'z3'") as told:
            update(lab)
        assert "cloud-config:" in str(told.value)
        assert "director upload-stemcell" in str(told.value.fix)
        assert lab.cloud("a").vms == {}
        upload(lab, tmp_path)  # the same again: b was added since, and is given it
        update(lab)
        assert len(lab.cloud("b").calls("create_vm")) == 2


def test_instances_without_an_az_stay_on_the_default_cpi(two: MemoryWorld) -> None:
    """What was deployed on the default CPI goes on there when other clouds are added."""
    set_cloud(
        two,
        "vm_types: [{name: small}]\nnetworks: [{name: default, type: dynamic}]\n"
        "compilation: {workers: 1, network: default, vm_type: small}\n",
    )
    update(two, manifest(instances=1).replace("  azs: [z1]\n", ""))
    (vm,) = two.cpi.vms.values()
    assert vm["stemcell"] == "stemcell-1"


# -- CPIs that change -----------------------------------------------------------------------------


def test_a_cpi_that_is_renamed_changes_nothing(two: MemoryWorld) -> None:
    update(two)
    before = {az: instance.vm for az, instance in by_az(two).items()}
    count = len(calls(two))
    use(two, f"cpis: [{ENTRY % ('new', '[{name: a}]')}, {ENTRY % ('b', '[]')}]")
    set_cloud(two, CLOUD % ("new", "b", "z1"))
    update(two)
    assert len(calls(two)) == count
    assert {az: instance.vm for az, instance in by_az(two).items()} == before
    # What is made from now on has the new name, from the stemcell it has had all along.
    update(two, both(env=2))
    vm = by_az(two)["z1"].vm
    assert vm is not None
    assert (vm.cpi, two.cloud("a").vms[str(vm.cid)]["stemcell"]) == ("new", "a-stemcell-1")
    disk = by_az(two)["z1"].active_disk
    assert disk is not None
    assert two.cloud("a").disks[str(disk.cid)]["vm"] == vm.cid, "it kept its disk"


def test_the_default_cpi_gets_a_name(lab: MemoryWorld) -> None:
    lab.run(deploy, manifest=manifest(), options={})
    before = [instance.vm for instance in lab.instances()]
    use(lab, "cpis: [{name: first, type: memory, migrated_from: [{name: ''}]}]")
    cloud = lab.world.store.configs.latest("cloud")
    assert cloud is not None
    set_cloud(lab, cloud.content.replace("[{name: z1}]", "[{name: z1, cpi: first}]"))
    count = len(calls(lab))
    lab.run(deploy, manifest=manifest(), options={})
    assert ([instance.vm for instance in lab.instances()], len(calls(lab))) == (before, count)
    lab.run(delete_deployment, name="d")
    assert lab.cpi.vms == {}


def test_an_az_that_moves_to_another_cpi_recreates_its_instances(two: MemoryWorld) -> None:
    update(two, both(disk=0))
    old = by_az(two)["z1"].vm
    assert old is not None
    set_cloud(two, CLOUD % ("b", "b", "z1"))
    two.run(deploy, manifest=both(disk=0), options={"dry_run": True})
    task = max(task.id for task in two.world.store.tasks.list())
    text = two.world.store.outputs.read(task, "result").decode()
    assert "CPI 'a' → CPI 'b'" in text
    update(two, both(disk=0))
    new = by_az(two)["z1"].vm
    assert new is not None
    assert (new.cpi, two.cloud("a").vms, len(two.cloud("b").vms)) == ("b", {}, 2)


def test_a_disk_does_not_move_to_another_cpi(two: MemoryWorld) -> None:
    update(two)
    before = two.instances()
    set_cloud(two, CLOUD % ("b", "b", "z1"))
    count = len(calls(two))
    with pytest.raises(PlacementError, match="persistent disk is on CPI 'a'") as refused:
        update(two)
    assert "manifest:" in str(refused.value)
    assert "migrated_from" in str(refused.value.fix)
    assert (two.instances(), len(calls(two))) == (before, count), "nothing was touched"
    # Without a disk the instance may go; its data stays, orphaned, where it is.
    update(two, both(disk=0))
    assert {disk.cpi for disk in two.world.store.disks.orphans()} == {"a", "b"}
    assert len(two.cloud("a").disks) == len(two.cloud("b").disks) == 1
    assert two.cloud("a").vms == {}


def test_a_disk_of_another_cpi_is_not_attached(two: MemoryWorld) -> None:
    update(two)
    mine, other = by_az(two)["z1"], by_az(two)["z2"]
    assert mine.active_disk is not None
    two.run(orphan_disk, cid=mine.active_disk.cid)
    args = {"deployment": "d", "instance_id": other.id, "cid": mine.active_disk.cid}
    with pytest.raises(DiskNotFound, match=r"is on CPI 'a', and the VM of 'db/.*' on CPI 'b'"):
        two.run(attach_disk, **args)
    strange = two.cloud("b").create_disk(10, {}, None)
    two.run(attach_disk, **{**args, "cid": strange})
    disk = by_az(two)["z2"].active_disk
    assert disk is not None
    assert (disk.cid, disk.cpi) == (strange, "b")


def test_a_cpi_that_was_taken_out_is_named(two: MemoryWorld) -> None:
    update(two)
    use(two, "cpis: [{name: a, type: memory}]")
    set_cloud(two, CLOUD % ("a", "a", "z1"))
    with pytest.raises(DirectorError, match="CPI 'b'"):
        update(two, both(disk=0))


# -- stemcells ------------------------------------------------------------------------------------


def copies(lab: MemoryWorld, version: str = "1") -> dict[str, str]:
    return {s.cpi: s.cid for s in lab.world.store.stemcells.copies("little", version)}


def test_a_stemcell_goes_to_every_named_cpi_once(two: MemoryWorld, tmp_path: Path) -> None:
    assert copies(two) == {"a": "a-stemcell-1", "b": "b-stemcell-1"}
    assert len(two.cpi.stemcells) == 1, "the default CPI is none of them"
    use(two, TWO.replace("]", ", {name: c, type: memory}]"))
    upload(two, tmp_path)
    assert copies(two) == {"a": "a-stemcell-1", "b": "b-stemcell-1", "c": "c-stemcell-1"}
    lines = [line["task"] for line in two.said() if line.get("state") == "finished"]
    assert "Checking if this stemcell already exists (cpi: a)" in lines
    assert "Uploading stemcell little/1 to the cloud (cpi: c)" in lines
    assert "Uploading stemcell little/1 to the cloud (cpi: a)" not in lines
    upload(two, tmp_path, fix=True)
    assert copies(two) == {"a": "a-stemcell-2", "b": "b-stemcell-2", "c": "c-stemcell-2"}
    two.run(delete_stemcell, name="little", version="1")
    assert copies(two) == {}
    assert list(two.cloud("a").stemcells) == ["a-stemcell-1"], "what --fix replaced is not ours"


def test_a_renamed_cpi_has_its_stemcells(two: MemoryWorld, tmp_path: Path) -> None:
    use(two, f"cpis: [{ENTRY % ('new', '[{name: a}]')}]")
    upload(two, tmp_path)
    assert copies(two) == {"a": "a-stemcell-1", "b": "b-stemcell-1"}
    upload(two, tmp_path, fix=True)
    assert copies(two) == {"b": "b-stemcell-1", "new": "a-stemcell-2"}


def test_what_one_cloud_refuses_the_others_keep(two: MemoryWorld, tmp_path: Path) -> None:
    two.cloud("a").inject(Fault(method="create_stemcell", message="quota"))
    with pytest.raises(CpiError, match="quota"):
        upload(two, tmp_path, "2")
    assert copies(two, "2") == {"b": "b-stemcell-2"}
    upload(two, tmp_path, "2")
    assert copies(two, "2") == {"a": "a-stemcell-2", "b": "b-stemcell-2"}
    two.cloud("a").inject(Fault(method="delete_stemcell", message="in use"))
    with pytest.raises(CpiError, match="in use"):
        two.run(delete_stemcell, name="little", version="2")
    assert copies(two, "2") == {"a": "a-stemcell-2"}, "what is gone is forgotten"
    two.run(delete_stemcell, name="little", version="2")
    assert copies(two, "2") == {}


class Picky:
    """A cloud that takes images of one format."""

    def __init__(self, cloud: Any, format: str) -> None:
        self._cloud, self._format = cloud, format

    def info(self) -> CpiInfo:
        return CpiInfo(stemcell_formats=(self._format,))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)


def test_a_stemcell_goes_only_where_its_format_is_taken(two: MemoryWorld, tmp_path: Path) -> None:
    two.others["a"] = Picky(two.cloud("a"), "ami")  # type: ignore[assignment]
    upload(two, tmp_path, "2")
    assert list(copies(two, "2")) == ["b"]
    two.others["b"] = Picky(two.cloud("b"), "qcow2")  # type: ignore[assignment]
    with pytest.raises(StemcellInvalid) as refused:
        upload(two, tmp_path, "3")
    assert "has the format director-rootfs" in str(refused.value)
    assert "CPI 'a' takes ami; CPI 'b' takes qcow2" in str(refused.value)


def test_a_light_stemcell_is_its_properties(two: MemoryWorld, tmp_path: Path) -> None:
    path = stemcell_tarball(
        tmp_path, "7", "memory", image="", more="cloud_properties: {ami: {r1: ami-1}}\nsha1: aa\n"
    )
    two.run(upload_stemcell, path=str(path))
    row = two.cloud("a").stemcells[copies(two, "7")["a"]]
    assert row["cloud_properties"] == {"name": "little", "version": "7", "ami": {"r1": "ami-1"}}


# -- clouds that cannot find ----------------------------------------------------------------------


class Blind(Picky):
    """A cloud that cannot tell what it made for an intent, as BOSH's own CPIs."""

    def __init__(self, cloud: Any) -> None:
        super().__init__(cloud, "memory")

    def find_vm(self, _agent_id: str) -> None:
        raise NotImplementedByCpi("find_vm")

    find_disk = get_disks = find_vm


@pytest.fixture
def blind(two: MemoryWorld) -> MemoryWorld:
    two.others["b"] = Blind(two.cloud("b"))  # type: ignore[assignment]
    return two


def test_a_failed_create_is_told_where_nobody_can_look(blind: MemoryWorld) -> None:
    blind.cloud("b").inject(Fault(method="create_vm", message="timed out"))
    with pytest.raises(CpiError, match="timed out"):
        update(blind)
    (warning,) = warnings(blind)
    (call,) = blind.cloud("b").calls("create_vm")
    assert f"agent id '{call.arguments[0]}'" in warning
    assert "CPI 'b' cannot tell" in warning
    assert "look in the cloud" in warning
    assert [vm for vm in blind.world.store.vms.list("d") if vm.cid is None] == []
    update(blind)
    assert warnings(blind) == []


def test_an_intent_without_an_answer_is_told_and_forgotten(blind: MemoryWorld) -> None:
    update(blind)
    store = blind.world.store
    instance = by_az(blind)["z2"]
    assert instance.vm is not None
    disk = instance.active_disk
    assert disk is not None
    store.vms.intend(
        replace(instance.vm, agent_id=AgentId("lost-agent"), cid=None, instance_id=None)
    )
    store.disks.intend(replace(disk, token="lost-token", cid=None, active=False))
    update(blind)
    vm_warning, disk_warning = warnings(blind)
    assert "'lost-agent'" in vm_warning
    assert f"a disk of 10 MiB for '{instance.name}'" in disk_warning
    assert all(vm.cid for vm in store.vms.list("d"))
    assert all(found.cid for found in store.disks.list("d"))


def test_a_variable_without_a_value_is_an_error_with_a_place(two: MemoryWorld) -> None:
    with pytest.raises(VariableError, match="'/net' has no value") as told:
        update(two, both().replace("variables: [{name: /net, type: password}]\n", ""))
    assert "cloud-config:8:" in str(told.value)

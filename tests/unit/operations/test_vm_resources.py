"""``vm_resources``: what the CPI makes of them decides VMs and plans like a VM type would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from worlds import CLOUD, MemoryWorld, manifest, memory_world

from cpis.contract import CloudError
from cpis.memory.faults import Fault
from director.operations.deploy import deploy

RESOURCES = "vm_resources: {cpu: 2, ram: 1024, ephemeral_disk_size: 4096}"
WANTED = {"cpu": 2, "ram": 1024, "ephemeral_disk_size": 4096}


def text(resources: str = RESOURCES, more: str = "") -> str:
    return manifest(instances=1).replace("vm_type: small", resources + more)


def properties(lab: MemoryWorld) -> dict[str, Any]:
    (instance,) = lab.instances()
    assert instance.vm is not None
    assert instance.vm.cid is not None
    found: dict[str, Any] = lab.cpi.vms[instance.vm.cid]["cloud_properties"]
    return found


def test_the_cpis_answer_is_laid_under_the_extensions(tmp_path: Path) -> None:
    cloud = CLOUD.replace("azs: [{name: z1}]", "azs: [{name: z1, cloud_properties: {zone: a}}]")
    cloud += "vm_extensions: [{name: big, cloud_properties: {ram: 4096}}]\n"
    with memory_world(tmp_path, cloud=cloud) as lab:
        lab.run(deploy, manifest=text(more="\n  vm_extensions: [big]"), options={})
        assert properties(lab) == {"zone": "a", **WANTED, "ram": 4096}
        (instance,) = lab.instances()
        assert instance.spec is not None
        assert (instance.spec.vm_type, instance.spec.cloud_properties) == ("", properties(lab))


def test_one_question_for_the_same_resources(lab: MemoryWorld) -> None:
    twice = text() + text().partition("instance_groups:")[2].replace("name: db", "name: other")
    lab.run(deploy, manifest=twice, options={})
    (call,) = lab.cpi.calls("calculate_vm_cloud_properties")
    assert call.arguments == (WANTED,)


def test_nothing_is_asked_for_vm_types(lab: MemoryWorld) -> None:
    lab.run(deploy, manifest=manifest(instances=1), options={})
    assert lab.cpi.calls("calculate_vm_cloud_properties") == []


def test_the_same_answer_changes_nothing_and_another_recreates(
    lab: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(deploy, manifest=text(), options={})
    lab.run(deploy, manifest=text(), options={})
    assert len(lab.cpi.calls("create_vm")) == 2, "the compilation VM and the instance's"
    monkeypatch.setattr(lab.cpi, "calculate_vm_cloud_properties", lambda _: {"type": "newer"})
    lab.run(deploy, manifest=text(), options={"dry_run": True})
    assert len(lab.cpi.calls("create_vm")) == 2
    lab.run(deploy, manifest=text(), options={})
    assert properties(lab) == {"type": "newer"}


def test_a_change_of_the_resources_recreates(lab: MemoryWorld) -> None:
    lab.run(deploy, manifest=text(), options={})
    lab.run(deploy, manifest=text(RESOURCES.replace("cpu: 2", "cpu: 4")), options={})
    assert properties(lab) == {**WANTED, "cpu": 4}


def test_a_cpi_that_cannot_says_so_where_it_was_asked(lab: MemoryWorld) -> None:
    lab.cpi.inject(Fault(method="calculate_vm_cloud_properties", message="nothing is that large"))
    with pytest.raises(CloudError) as raised:
        lab.run(deploy, manifest=text(), options={})
    assert "'vm_resources' of instance group 'db' on the default CPI" in raised.value.what
    assert raised.value.where is not None
    assert raised.value.where.line == text().splitlines().index(f"  {RESOURCES}") + 1
    assert lab.cpi.vms == {}


def test_compilation_vms_may_be_described_so_too(tmp_path: Path) -> None:
    cloud = CLOUD.replace("az: z1, vm_type: small,", f"az: z1, {RESOURCES},")
    with memory_world(tmp_path, cloud=cloud) as lab:
        lab.run(deploy, manifest=manifest(instances=1), options={})
        made = [call.arguments[2] for call in lab.cpi.calls("create_vm")]
        assert made == [WANTED, {}]


def test_compilation_cannot_have_both() -> None:
    from director.manifest.read_cloud_config import read_cloud_config
    from director.model.errors import CloudConfigError

    cloud = CLOUD.replace("vm_type: small,", f"vm_type: small, {RESOURCES},", 1)
    with pytest.raises(CloudConfigError, match="both 'vm_type' and 'vm_resources'"):
        read_cloud_config([("c", cloud)])

"""Persistent disks by hand: what is attached is mounted, what is orphaned stays until deleted."""

from __future__ import annotations

import pytest
from worlds import MemoryWorld, manifest

from director.model.errors import DiskNotFound, InstanceNotFound
from director.model.ids import DiskCid
from director.model.instances import RecordedInstance
from director.operations.deploy import deploy
from director.operations.disks import attach_disk, delete_orphan_disks, orphan_disk


@pytest.fixture
def deployed(lab: MemoryWorld) -> MemoryWorld:
    lab.run(deploy, manifest=manifest(instances=2), options={})
    return lab


def disk_of(instance: RecordedInstance) -> DiskCid:
    assert instance.active_disk is not None
    assert instance.active_disk.cid is not None
    return instance.active_disk.cid


def attach(lab: MemoryWorld, instance: RecordedInstance, cid: str) -> str:
    return lab.run(attach_disk, deployment="d", instance_id=instance.id, cid=cid)


def orphans(lab: MemoryWorld) -> list[DiskCid | None]:
    return [disk.cid for disk in lab.world.store.disks.orphans()]


def test_a_disk_is_taken_from_its_instance_and_given_back(deployed: MemoryWorld) -> None:
    first = deployed.instances()[0]
    machine, cid = deployed.machine_of(first), disk_of(first)
    deployed.run(orphan_disk, cid=cid)
    assert machine.state().disk is None
    assert (orphans(deployed), deployed.instances()[0].disks) == ([cid], ())
    assert deployed.cpi.disks[cid]["vm"] is None
    attach(deployed, first, cid)
    assert machine.state().disk == f"/dev/memory/{cid}"
    assert (orphans(deployed), disk_of(deployed.instances()[0])) == ([], cid)
    deployed.cpi._calls.clear()
    attach(deployed, first, cid)
    assert deployed.cpi.calls() == [], "it is attached already"


def test_another_disk_takes_the_place_of_the_first(deployed: MemoryWorld) -> None:
    first = deployed.instances()[0]
    strange = deployed.cpi.create_disk(10, {}, None)
    attach(deployed, first, strange)
    assert orphans(deployed) == [disk_of(first)]
    now = deployed.instances()[0]
    assert disk_of(now) == strange
    assert deployed.machine_of(now).state().disk == f"/dev/memory/{strange}"
    deployed.run(deploy, manifest=manifest(instances=2), options={})
    assert disk_of(deployed.instances()[0]) == strange


def test_what_cannot_be_attached_is_refused(deployed: MemoryWorld) -> None:
    first, second = deployed.instances()
    with pytest.raises(DiskNotFound, match=f"in use by '{second.name}'"):
        attach(deployed, first, disk_of(second))
    with pytest.raises(DiskNotFound, match="the cloud has no disk 'nope'"):
        attach(deployed, first, "nope")
    with pytest.raises(InstanceNotFound):
        deployed.run(attach_disk, deployment="d", instance_id="nope", cid=disk_of(first))
    assert deployed.instances() == [first, second]
    assert deployed.world.store.locks.list() == []


def test_a_silent_machine_does_not_keep_its_disk(deployed: MemoryWorld) -> None:
    first = deployed.instances()[0]
    assert first.vm is not None
    deployed.silent.add(first.vm.agent_id)
    deployed.machine_of(first).calls.clear()
    deployed.run(orphan_disk, cid=disk_of(first))
    assert deployed.machine_of(first).calls == ["close"]
    assert orphans(deployed) == [disk_of(first)]


def test_orphaning_what_is_not_there_is_a_warning(deployed: MemoryWorld) -> None:
    assert deployed.run(orphan_disk, cid="nope") == "disk nope orphaned"
    assert [line["message"] for line in deployed.said() if line.get("type") == "warning"] == [
        "Disk nope does not exist. Orphaning is skipped"
    ]


def test_only_orphans_are_deleted(deployed: MemoryWorld) -> None:
    first, second = deployed.instances()
    deployed.run(orphan_disk, cid=disk_of(first))
    deployed.run(delete_orphan_disks, cids=[disk_of(first), "nope"])
    assert orphans(deployed) == []
    assert list(deployed.cpi.disks) == [disk_of(second)]
    with pytest.raises(DiskNotFound, match="is not orphaned"):
        deployed.run(delete_orphan_disks, cids=[disk_of(second)])
    assert list(deployed.cpi.disks) == [disk_of(second)]

"""Disks the cloud changes itself, and the copy where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import disk
from instance_bench import InstanceBench

from cpis.contract import CloudError, NotImplementedByCpi, NotSupportedByCpi
from director.model.instances import DiskSpec, RecordedInstance

COPY = ["attach_disk", "create_disk", "set_disk_metadata", "attach_disk", "detach_disk"]


@pytest.fixture
def grow(bench: InstanceBench) -> Callable[..., tuple[RecordedInstance, RecordedInstance]]:
    """Deploys a disk of 10 MiB and then another one; returns the rows before and after."""

    def change(
        wanted: DiskSpec, *, resize: bool = False, update: bool = False
    ) -> tuple[RecordedInstance, RecordedInstance]:
        made = bench.make(disk=disk(10, cloud_properties={"type": "slow"}))
        bench.lab.world = replace(bench.lab.world, resize_disks=resize, update_disks=update)
        assert made.spec is not None
        after = bench.update(made, replace(made.spec, disk=wanted), disk_changes=True)
        return made, after

    return change


LARGER = disk(20, cloud_properties={"type": "slow"})
FASTER = disk(20, type="new", cloud_properties={"type": "fast"})


@pytest.mark.parametrize(
    ("wanted", "settings", "calls"),
    [
        pytest.param(LARGER, {"resize": True}, ["resize_disk"], id="larger"),
        pytest.param(LARGER, {"update": True}, ["update_disk"], id="larger by update"),
        pytest.param(FASTER, {"update": True}, ["update_disk"], id="faster by update"),
        pytest.param(FASTER, {"update": True, "resize": True}, ["update_disk"], id="both allowed"),
    ],
)
def test_the_same_disk_changes(
    bench: InstanceBench, grow: Any, wanted: DiskSpec, settings: Any, calls: list[str]
) -> None:
    made, after = grow(wanted, **settings)
    assert bench.cloud_calls() == ["detach_disk", *calls, "attach_disk"]
    before, now = made.active_disk, after.active_disk
    assert before is not None
    assert now is not None
    assert now.cid == before.cid
    assert (now.size_mb, now.type, now.cloud_properties) == (
        *(wanted.size_mb, wanted.type, wanted.cloud_properties),
    )
    row = bench.lab.cpi.disks[str(now.cid)]
    assert row["size_mb"] == 20
    order = [c.split()[0] for c in bench.machine(after).calls]
    assert order[order.index("unmount_disk") :][:3] == ["unmount_disk", "mount_disk", "grow_disk"]
    assert ("update", "disk") in [(e.action, e.object_type) for e in bench.heard.audited]


@pytest.mark.parametrize(
    ("wanted", "settings"),
    [
        pytest.param(LARGER, {}, id="not allowed"),
        pytest.param(FASTER, {"resize": True}, id="resizing is not enough"),
        pytest.param(disk(5, cloud_properties={"type": "slow"}), {"update": True}, id="smaller"),
        pytest.param(
            disk(10, cloud_properties={"type": "slow"}),
            {"update": True, "resize": True},
            id="to be renewed",
        ),
    ],
)
def test_what_is_copied_as_before(
    bench: InstanceBench, grow: Any, wanted: DiskSpec, settings: Any
) -> None:
    made, after = grow(wanted, **settings)
    assert bench.cloud_calls() == COPY
    assert after.active_disk is not None
    assert made.active_disk is not None
    assert after.active_disk.cid != made.active_disk.cid
    (orphan,) = bench.lab.world.store.disks.orphans()
    assert orphan.cid == made.active_disk.cid


@pytest.mark.parametrize("refusal", [NotSupportedByCpi, NotImplementedByCpi])
def test_a_cloud_that_cannot_lets_it_be_copied(
    bench: InstanceBench,
    grow: Any,
    refusal: type[CloudError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def refuse(method: str) -> Callable[..., None]:
        def call(*_: object) -> None:
            asked.append(method)
            raise refusal("cannot")

        return call

    for method in ("resize_disk", "update_disk"):
        monkeypatch.setattr(bench.lab.cpi, method, refuse(method))
    _, after = grow(LARGER, resize=True, update=True)
    assert asked == ["update_disk", "resize_disk"]
    assert bench.cloud_calls() == ["detach_disk", *COPY]
    assert after.active_disk is not None
    assert after.active_disk.size_mb == 20


def test_another_failure_is_one(
    bench: InstanceBench, grow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CloudError("the cloud is down")

    monkeypatch.setattr(bench.lab.cpi, "resize_disk", fail)
    with pytest.raises(CloudError, match="the cloud is down"):
        grow(LARGER, resize=True)
    assert len(bench.lab.cpi.disks) == 1


def test_a_disk_that_gets_another_cid_is_known_by_it(
    bench: InstanceBench, grow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(cid: Any, size_mb: int, properties: Any) -> Any:
        new = bench.lab.cpi.create_disk(size_mb, properties, None)
        bench.lab.cpi.delete_disk(cid)
        return new

    monkeypatch.setattr(bench.lab.cpi, "update_disk", update)
    made, after = grow(FASTER, update=True)
    assert made.active_disk is not None
    assert after.active_disk is not None
    assert after.active_disk.cid != made.active_disk.cid
    row = bench.lab.cpi.disks[str(after.active_disk.cid)]
    assert row["metadata"]["instance_id"] == after.id
    assert row["vm"] == after.vm.cid if after.vm else None
    assert bench.lab.world.store.disks.orphans() == []

"""What operators wrote is not readable in the database's files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import spec

from director.model.errors import SettingsError
from director.model.ids import AgentId, InstanceId, VmCid
from director.model.instances import RecordedDisk, RecordedInstance, RecordedVm
from director.model.records import DeploymentRecord
from director.store.sealing import PLAIN, Sealing
from director.store.store import Store, open_store
from director.variables.seal import seal_text, unseal_text

KEY = bytes(range(32))
SECRET = "s3cret-in-a-manifest"


def sealing(key: bytes = KEY) -> Sealing:
    return Sealing(lambda text: seal_text(text, key=key), lambda text: unseal_text(text, key=key))


def opened(home: Path, how: Sealing) -> Store:
    return open_store(f"sqlite:///{home}/d.db", home / "tasks", sealing=how, now=lambda: 1.0)


def write_everywhere(store: Store) -> None:
    store.deployments.record(DeploymentRecord(name="d", manifest=SECRET))
    store.configs.create("cloud", "default", SECRET)
    store.tasks.create(type="t", description="", owner="o", now=1.0, args={"manifest": SECRET})
    hidden = {"key": SECRET}
    instance = RecordedInstance(
        id=InstanceId("i"), deployment="d", group="g", index=0, spec=spec(env=hidden)
    )
    store.instances.save(instance)
    vm = RecordedVm(agent_id=AgentId("a"), deployment="d", instance_id=InstanceId("i"))
    store.vms.intend(vm)
    store.vms.created(AgentId("a"), VmCid("vm"), hidden, 1.0)
    disk = RecordedDisk(
        token="t", deployment="d", instance_name="g/i", size_mb=1, cloud_properties=hidden
    )
    store.disks.intend(disk)


def read_everywhere(store: Store) -> Iterator[object]:
    record = store.deployments.get("d")
    assert record is not None
    yield record.manifest
    yield store.configs.list()[0].content
    yield store.tasks.list()[0].args["manifest"]
    instance = store.instances.list()[0]
    assert instance.spec is not None
    assert instance.vm is not None
    yield instance.spec.env["key"]
    yield instance.vm.networks["key"]
    yield store.disks.list()[0].cloud_properties["key"]


@pytest.mark.parametrize("how", [PLAIN, sealing()], ids=["plain", "sealed"])
def test_what_is_written_is_read_again_and_not_readable_in_between(
    tmp_path: Path, how: Sealing
) -> None:
    store = opened(tmp_path, how)
    write_everywhere(store)
    assert list(read_everywhere(store)) == [SECRET] * 6
    files = b"".join(path.read_bytes() for path in tmp_path.glob("d.db*"))
    store.close()
    assert (SECRET.encode() in files) is (how is PLAIN)


def test_what_was_written_before_there_was_a_seal_is_read(tmp_path: Path) -> None:
    store = opened(tmp_path, PLAIN)
    write_everywhere(store)
    store.close()
    store = opened(tmp_path, sealing())
    assert list(read_everywhere(store)) == [SECRET] * 6
    store.close()


def test_another_key_is_said_to_be_another(tmp_path: Path) -> None:
    store = opened(tmp_path, sealing())
    write_everywhere(store)
    store.close()
    store = opened(tmp_path, sealing(bytes(32)))
    with pytest.raises(SettingsError, match="keys/variables"):
        store.deployments.get("d")
    store.close()

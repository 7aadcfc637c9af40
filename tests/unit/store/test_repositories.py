"""Each repository keeps its promises, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from director.model.errors import (
    ConfigChanged,
    DiskNotFound,
    NetworkError,
    NotSupported,
    TaskNotFound,
)
from director.model.events import AuditEvent
from director.model.ids import AgentId, BlobId, DiskCid, InstanceId, StemcellCid, VmCid
from director.model.instances import (
    DesiredState,
    DiskSpec,
    InstanceSpec,
    JobDigests,
    NetworkSpec,
    PackageRef,
    RecordedDisk,
    RecordedInstance,
    RecordedVm,
    StemcellRef,
)
from director.model.records import AddressRecord, DeploymentRecord, PlanRecord, VariableRecord
from director.model.release import CompiledPackage, Job, LinkSpec, Package, PropertySpec, Release
from director.model.stemcell import Stemcell
from director.model.tasks import TaskState
from director.store.events import EventFilter
from director.store.store import Store, open_store

ME, OTHER = "host:1:1:a", "host:2:2:b"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/d.db", tmp_path / "tasks", now=lambda: 1000.0)
    yield opened
    opened.close()


def spec(id: str = "i-1") -> InstanceSpec:
    return InstanceSpec(
        id=InstanceId(id),
        deployment="cf",
        group="web",
        index=0,
        az="z1",
        bootstrap=True,
        lifecycle="service",
        stemcell=StemcellRef(name="debian", version="1", os="debian-12"),
        vm_type="small",
        cloud_properties={"memory_mb": 64},
        env={"bosh": {"password": "((p))"}},
        networks=(NetworkSpec(name="a", type="manual", ip="10.0.0.2", dns=("10.0.0.1",)),),
        jobs=(JobDigests(name="web", release="r", fingerprint="f", properties={"port": "x"}),),
        packages=(PackageRef(name="p", release="r", fingerprint="f"),),
        disk=DiskSpec(size_mb=10, type="small"),
        tags={"a": "b"},
    )


def instance(id: str = "i-1", **changes: object) -> RecordedInstance:
    made = RecordedInstance(
        id=InstanceId(id), deployment="cf", group="web", index=0, az="z1", spec=spec(id)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def vm(agent_id: str = "a-1", instance_id: str | None = "i-1") -> RecordedVm:
    return RecordedVm(
        agent_id=AgentId(agent_id),
        deployment="cf",
        instance_id=None if instance_id is None else InstanceId(instance_id),
        host_public_key="ssh-ed25519 AAAA",
    )


def disk(token: str = "t-1", cid: str | None = "d-1") -> RecordedDisk:
    return RecordedDisk(
        token=token,
        deployment="cf",
        instance_name="web/i-1",
        instance_id=InstanceId("i-1"),
        size_mb=10,
        cid=None if cid is None else DiskCid(cid),
        cloud_properties={"type": "fast"},
    )


def test_a_director_keeps_its_first_uuid(store: Store) -> None:
    assert store.attributes.ensure("uuid", "one") == "one"
    assert store.attributes.ensure("uuid", "two") == "one"


def test_deployments_are_ensured_recorded_and_deleted(store: Store) -> None:
    assert store.deployments.ensure("cf") == DeploymentRecord(name="cf", created_at=1000.0)
    deployed = DeploymentRecord(
        name="cf",
        manifest="name: cf",
        cloud_config_ids=(3,),
        releases=(("redis", "1"),),
        stemcells=(("debian", "2"),),
    )
    store.deployments.record(deployed)
    assert store.deployments.ensure("cf") == replace(deployed, created_at=1000.0)
    assert [d.name for d in store.deployments.list()] == ["cf"]
    store.deployments.delete("cf")
    assert store.deployments.get("cf") is None


def test_a_deployment_with_instances_is_not_forgotten(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save(instance())
    with pytest.raises(IntegrityError):
        store.deployments.delete("cf")


def test_config_versions(store: Store) -> None:
    first = store.configs.create("cloud", "default", "a: 1")
    assert store.configs.create("cloud", "default", "a: 1") == first
    second = store.configs.create("cloud", "default", "a: 2", expected_latest_id=first.id)
    with pytest.raises(ConfigChanged) as changed:
        store.configs.create("cloud", "default", "a: 3", expected_latest_id=0)
    assert changed.value.latest_id == second.id
    store.configs.create("cloud", "another", "b: 1")
    assert [(c.name, c.current) for c in store.configs.list("cloud", limit=9)] == [
        ("default", True),
        ("default", False),
        ("another", True),
    ]
    assert store.configs.delete_version(second.id)
    assert store.configs.latest("cloud") == first
    assert store.configs.delete("cloud", "default")
    assert not store.configs.delete("cloud", "default")
    assert store.configs.latest("cloud") is None
    kept = store.configs.get(first.id)
    assert kept is not None
    assert not kept.current
    assert store.configs.get(first.id, live=True) is None


RELEASE = Release(
    name="redis",
    version="1",
    commit_hash="abc",
    jobs={
        "redis": Job(
            name="redis",
            fingerprint="jf",
            templates={"run.erb": "bin/run"},
            properties=(PropertySpec(name="port", default=6379),),
            provides=(LinkSpec(name="r", type="redis", properties=("port",)),),
            packages=("redis",),
            blob=BlobId("b1"),
            digest="sha256:1",
        )
    },
    packages={"redis": Package(name="redis", fingerprint="pf", dependencies=("c",), digest="x")},
)


def test_releases(store: Store) -> None:
    store.releases.add(RELEASE)
    store.releases.add(RELEASE)
    assert store.releases.get("redis", "1") == RELEASE
    assert store.releases.list() == [RELEASE]
    assert store.releases.find_job("jf") == RELEASE.jobs["redis"]
    with_source = Package(name="redis", fingerprint="pf", blob=BlobId("b2"))
    store.releases.add(Release(name="redis", version="2", packages={"redis": with_source}))
    assert store.releases.find_package("pf") == with_source
    assert [r.version for r in store.releases.versions("redis")] == ["1", "2"]
    store.releases.delete("redis", "2")
    assert store.releases.find_package("pf") == RELEASE.packages["redis"]
    store.releases.delete("redis")
    assert store.releases.find_package("pf") is None


def test_compiled_packages(store: Store) -> None:
    package = CompiledPackage(
        name="redis",
        fingerprint="pf",
        stemcell_os="debian-12",
        stemcell_version="1",
        dependency_key="",
        blob=BlobId("b"),
        digest="d",
    )
    key = ("redis", "pf", "debian-12", "1", "")
    store.releases.add_compiled(replace(package, digest="old"))
    store.releases.add_compiled(package)
    assert store.releases.compiled(*key) == package
    assert store.releases.compiled_keys() == {key}
    assert store.releases.all_compiled() == [package]
    store.releases.delete_compiled(*key)
    assert store.releases.compiled(*key) is None


def test_stemcells(store: Store) -> None:
    stemcell = Stemcell(
        name="debian", version="1", operating_system="debian-12", cid=StemcellCid("s1")
    )
    store.stemcells.add(replace(stemcell, cid=StemcellCid("s0")))
    store.stemcells.add(stemcell)
    store.stemcells.add(replace(stemcell, cpi="two"))
    store.stemcells.add(replace(stemcell, version="2"))
    assert store.stemcells.copies("debian", "1") == [stemcell, replace(stemcell, cpi="two")]
    assert len(store.stemcells.list()) == 3
    store.stemcells.delete("debian", "1", "two")
    assert store.stemcells.copies("debian", "1") == [stemcell]
    store.stemcells.delete("debian", "1")
    assert store.stemcells.copies("debian", "1") == []


def test_an_instance_is_read_with_its_vm_and_disks(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save(instance())
    store.vms.intend(vm())
    store.vms.created(AgentId("a-1"), VmCid("v-1"), {"a": {"ip": "10.0.0.2"}}, 5.0)
    store.vms.intend(vm("a-2"))
    store.vms.intend(vm("a-3", instance_id=None))
    store.disks.intend(disk(cid=None))
    store.disks.created("t-1", DiskCid("d-1"))
    store.disks.activate(DiskCid("d-1"), InstanceId("i-1"))
    found = store.instances.get(InstanceId("i-1"))
    assert found is not None
    assert found == replace(
        instance(),
        vm=replace(vm(), cid=VmCid("v-1"), networks={"a": {"ip": "10.0.0.2"}}, created_at=5.0),
        disks=(replace(disk(), active=True),),
    )
    assert found.active_disk is not None
    assert store.instances.list("cf") == store.instances.list() == [found]
    assert [v.agent_id for v in store.vms.list("cf")] == ["a-1", "a-2", "a-3"]
    store.vms.delete(AgentId("a-1"))
    intent = store.instances.get(InstanceId("i-1"))
    assert intent is not None
    assert intent.vm == vm("a-2")


def test_instances_are_saved_by_id(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save_many([instance("i-2", index=1), instance("i-1")])
    changed = instance("i-1", state=DesiredState.DETACHED, dirty=True, ignore=True, spec=None)
    store.instances.save_many([changed, instance("i-3", index=2)])
    assert [i.id for i in store.instances.list()] == ["i-1", "i-2", "i-3"]
    assert store.instances.get(InstanceId("i-1")) == changed
    store.instances.delete(InstanceId("i-1"))
    assert store.instances.get(InstanceId("i-1")) is None


def test_an_instance_has_one_active_disk(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save(instance())
    for n in (1, 2):
        store.disks.intend(disk(f"t-{n}", f"d-{n}"))
        store.disks.activate(DiskCid(f"d-{n}"), InstanceId("i-1"))
    assert [(d.cid, d.active) for d in store.disks.list("cf")] == [("d-1", False), ("d-2", True)]
    with pytest.raises(DiskNotFound):
        store.disks.activate(DiskCid("nope"), InstanceId("i-1"))


def test_orphaned_disks_outlive_and_can_be_adopted(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save(instance())
    store.disks.intend(disk())
    store.disks.orphan(DiskCid("d-1"), 7.0)
    store.disks.orphan(DiskCid("d-1"), 9.0)
    store.instances.delete(InstanceId("i-1"))
    store.deployments.delete("cf")
    (orphan,) = store.disks.orphans()
    assert (orphan.orphaned_at, orphan.instance_id, orphan.instance_name) == (7.0, None, "web/i-1")
    assert store.disks.list() == []
    store.deployments.ensure("new")
    store.instances.save(instance("i-9", deployment="new", group="db"))
    store.disks.activate(DiskCid("d-1"), InstanceId("i-9"))
    adopted = store.disks.get(DiskCid("d-1"))
    assert adopted is not None
    assert (adopted.deployment, adopted.instance_name) == ("new", "db/i-9")
    assert store.disks.orphans() == []


def test_an_intent_nothing_came_of_is_forgotten(store: Store) -> None:
    store.deployments.ensure("cf")
    store.instances.save(instance())
    store.disks.intend(disk(cid=None))
    store.disks.forget("t-1")
    assert store.disks.list() == []


def address(ip: str, instance_id: str | None = "i-1", owner: str = "") -> AddressRecord:
    return AddressRecord(
        network="a",
        ip=ip,
        deployment="cf",
        instance_id=None if instance_id is None else InstanceId(instance_id),
        owner=owner,
    )


def test_addresses_are_reserved_all_or_none(store: Store) -> None:
    store.addresses.reserve([address("10.0.0.2"), address("10.0.0.3")])
    store.addresses.reserve([address("10.0.0.2"), address("10.0.0.4")])
    with pytest.raises(NetworkError, match=r"'10\.0\.0\.3' .* by instance 'i-1'"):
        store.addresses.reserve([address("10.0.0.9", "i-2"), address("10.0.0.3", "i-2")])
    assert [a.ip for a in store.addresses.all()] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    with pytest.raises(NetworkError):
        store.addresses.reserve([address("10.0.0.8", "i-2"), address("10.0.0.8", "i-3")])


def test_addresses_are_released_by_holder(store: Store) -> None:
    compilation = address("10.0.0.9", None, "agent")
    store.addresses.reserve([address("10.0.0.2"), address("10.0.0.3"), compilation])
    store.addresses.release(InstanceId("i-1"), keep={("a", "10.0.0.3")})
    assert [a.ip for a in store.addresses.all()] == ["10.0.0.3", "10.0.0.9"]
    store.addresses.release(owner="agent")
    assert [a.ip for a in store.addresses.all()] == ["10.0.0.3"]
    with pytest.raises(ValueError, match="nobody"):
        store.addresses.release()


def test_variables_have_versions(store: Store) -> None:
    record = VariableRecord(
        id="1", name="/d/cf/pw", deployment="cf", type="password", sealed=b"\0\xff"
    )
    store.variables.add(record)
    newer = replace(record, id="2", sealed=b"new")
    store.variables.add(newer)
    assert store.variables.latest("/d/cf/pw") == newer
    assert store.variables.list("cf") == [newer]
    assert store.variables.latest("/d/cf/other") is None
    assert "new" not in repr(newer)


def make_task(store: Store, owner: str = ME, type: str = "vms") -> int:
    return store.tasks.create(type=type, description="x", owner=owner, now=1.0, args={"a": [1]}).id


def test_a_task_is_claimed_once_by_its_owner(store: Store) -> None:
    first, second = make_task(store), make_task(store)
    assert store.tasks.claim(OTHER, 2.0) is None
    claimed = store.tasks.claim(ME, 2.0)
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.started_at) == (first, TaskState.PROCESSING, 2.0)
    assert claimed.args == {"a": [1]}
    again = store.tasks.claim(ME, 2.0)
    assert again is not None
    assert again.id == second
    assert store.tasks.claim(ME, 2.0) is None


def test_a_task_ends_once(store: Store) -> None:
    id = make_task(store)
    store.tasks.claim(ME, 2.0)
    store.tasks.finish(id, TaskState.DONE, "a\nb " + "word " * 100, 3.0)
    done = store.tasks.get(id)
    assert done.result is not None
    assert done.result.startswith("a b word")
    assert done.result.endswith("...")
    assert done.finished_at == 3.0
    with pytest.raises(ValueError, match="cannot become"):
        store.tasks.finish(id, TaskState.ERROR, "", 4.0)
    with pytest.raises(ValueError, match="cannot become"):
        store.tasks.set_state(id, TaskState.PROCESSING)
    with pytest.raises(TaskNotFound, match="Task 99 not found"):
        store.tasks.get(99)


def test_a_waiting_task_that_is_cancelled_is_still_handed_out(store: Store) -> None:
    id = make_task(store)
    assert store.tasks.request_cancel(id)
    assert not store.tasks.request_cancel(id)
    claimed = store.tasks.claim(ME, 2.0)
    assert claimed is not None
    assert claimed.state is TaskState.CANCELLING
    assert store.tasks.claim(ME, 2.0) is None
    store.tasks.finish(id, TaskState.CANCELLED, "task cancelled", 3.0)
    assert not store.tasks.request_cancel(id)


def test_tasks_are_listed_running_first_then_newest(store: Store) -> None:
    ids = [make_task(store, type=type) for type in ("vms", "update_deployment", "vms")]
    for id in ids[:2]:
        store.tasks.claim(ME, 2.0)
        store.tasks.finish(id, TaskState.DONE, "", 10.0 - id)
    assert [task.id for task in store.tasks.list()] == [3, 1, 2]
    assert [task.id for task in store.tasks.list(types=["vms"], limit=0)] == [3]
    assert [t.id for t in store.tasks.list(states=[TaskState.DONE], limit=1)] == [1]
    assert store.tasks.list(deployment="other") == []
    assert [(task.id, beat) for task, beat in store.tasks.unfinished()] == [(3, 1.0)]
    store.tasks.heartbeat(ME, 8.0)
    assert [(task.owner, beat) for task, beat in store.tasks.unfinished()] == [(ME, 8.0)]
    assert store.tasks.adopt(3, owner=ME, new_owner=OTHER, now=9.0)
    assert not store.tasks.adopt(3, owner=ME, new_owner=OTHER, now=9.0)
    assert store.tasks.get(3).owner == OTHER


@pytest.mark.parametrize(
    ("task", "owner", "now", "dead", "free"),
    [
        pytest.param(2, OTHER, 50.0, False, False, id="held"),
        pytest.param(2, OTHER, 131.0, False, True, id="expired"),
        pytest.param(2, OTHER, 50.0, True, True, id="holder-died"),
        pytest.param(1, ME, 50.0, False, True, id="held-by-us"),
        pytest.param(2, ME, 50.0, False, False, id="held-by-another-task-of-ours"),
    ],
)
def test_lock(store: Store, task: int, owner: str, now: float, dead: bool, free: bool) -> None:
    assert store.locks.acquire("lock:x", 1, ME, 30.0, 100.0 if now > 100 else 40.0)
    got = store.locks.acquire("lock:x", task, owner, 30.0, now, is_dead=lambda _: dead)
    assert got is free
    assert [held.task_id for held in store.locks.list()] == [task if free else 1]


def test_a_lost_lock_is_neither_renewed_nor_released(store: Store) -> None:
    store.locks.acquire("lock:x", 1, ME, 30.0, 0.0)
    assert store.locks.renew("lock:x", 1, ME, 30.0, 20.0)
    assert store.locks.acquire("lock:x", 2, OTHER, 30.0, 60.0)
    assert not store.locks.renew("lock:x", 1, ME, 30.0, 61.0)
    store.locks.release("lock:x", 1, ME)
    assert len(store.locks.list()) == 1
    store.locks.release_all(OTHER)
    assert store.locks.list() == []


def test_events(store: Store) -> None:
    event = AuditEvent(action="create", object_type="vm", object_name="v", task="1", timestamp=5.0)
    first = store.events.add(event)
    second = store.events.add(replace(event, action="delete", parent_id=first, timestamp=6.0))
    assert [e.id for e in store.events.list()] == [second, first]
    assert store.events.get(first) == replace(event, id=first)

    def ids(**chosen: object) -> list[int]:
        return [e.id for e in store.events.list(EventFilter(**chosen))]  # type: ignore[arg-type]

    assert ids(before_id=second) == [first]
    assert ids(before_time=6.0) == [first]
    assert ids(after_time=6.0) == [second]
    assert ids(action="delete", task="1") == [second]
    assert ids(user="nobody") == []


def test_plans_and_errand_runs(store: Store) -> None:
    store.plans.save(PlanRecord(task_id=1, deployment="cf", text="old"))
    plan = PlanRecord(task_id=1, deployment="cf", text="new", created_at=2.0)
    store.plans.save(plan)
    assert store.plans.get(1) == plan
    assert store.plans.get(2) is None
    store.errand_runs.record("cf", "smoke", "one")
    store.errand_runs.record("cf", "smoke", "two")
    assert store.errand_runs.last("cf", "smoke") == "two"
    assert store.errand_runs.last("cf", "other") is None


def test_outputs_are_private_and_append_only(store: Store, tmp_path: Path) -> None:
    assert store.outputs.size(7, "event") is None
    assert store.outputs.read(7, "event") == b""
    store.outputs.append(7, "event", "é\n")
    store.outputs.append(7, "event", "b\n")
    assert store.outputs.read(7, "event") == "é\nb\n".encode()
    assert store.outputs.read(7, "event", 3, 1) == b"b"
    assert store.outputs.size(7, "event") == 5
    path = tmp_path / "tasks" / "7" / "event"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(ValueError, match="Unknown type"):
        store.outputs.append(7, "../event", "")


def test_only_sqlite_files_are_opened(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="not a SQLite file"):
        open_store("postgresql://u:secret@h/d", tmp_path)

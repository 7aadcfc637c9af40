"""Looking at machines, letting operators in, logs and errands: on machines in memory."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from builders import applied, job, release, spec, vm
from machine_bench import QUICK, bundle, ignore, script, served
from machine_bench import job as rendered
from worlds import Heard

from director.blobs.directory import DirectoryBlobs
from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.memory_machine import MemoryMachine
from director.model.errors import (
    ErrandError,
    ErrandNotFound,
    InstanceInvalidIndex,
    InstanceNotFound,
    InstanceWithoutVm,
    MachineError,
    MachineUnreachable,
)
from director.model.ids import AgentId, InstanceId
from director.model.instances import DesiredState, Reach, RecordedInstance, RecordedVm
from director.model.records import DeploymentRecord
from director.operations import vms as vms_module
from director.operations.fetch_logs import fetch_logs
from director.operations.run_errand import run_errand
from director.operations.ssh import ssh
from director.operations.vms import vms
from director.store.store import Store, open_store

A = InstanceId("00000000-0000-4000-8000-00000000000a")
B = InstanceId("00000000-0000-4000-8000-00000000000b")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVZMTuRl2v0MLJfnsiYSRLDcRJNYW2xmsfOJbSDQXzD x"
MANIFEST = """
name: dep
releases: [{name: redis, version: "1"}]
stemcells: [{alias: default, os: debian-12, version: latest}]
update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1000, update_watch_time: 1000}
instance_groups:
- name: redis
  instances: 2
  azs: [z1]
  jobs: [{name: redis, release: redis}, {name: smoke, release: redis}]
  vm_type: small
  stemcell: default
  networks: [{name: default}]
"""


@dataclass
class SmallWorld:
    """As much of the world as these operations use: two instances, redis/0 and redis/1."""

    store: Store
    blobs: DirectoryBlobs
    work_dir: Path
    machines: dict[AgentId, MemoryMachine] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    max_threads: int = 4
    reach: Reach = Reach.PRIVATE

    def now(self) -> float:
        return 1_764_500_000.0

    def new_pool(self, width: int) -> Executor:
        return ThreadPoolExecutor(width)

    def connect(self, vm: RecordedVm, cancelled: Callable[[], bool]) -> MemoryMachine:
        return self.machines[vm.agent_id]

    def machine(self, id: InstanceId) -> MemoryMachine:
        return self.machines[AgentId(f"agent-{id}")]

    def run(self, operation: Callable[[World, TaskRun], str], **args: Any) -> str:
        self.heard = Heard()
        return operation(cast(World, self), self.heard.run(deployment="dep", **args))

    @property
    def lines(self) -> list[dict[str, Any]]:
        text = "".join(self.heard.written)
        return [json.loads(line) for line in text.splitlines()]

    def change(self, id: InstanceId, **changes: Any) -> None:
        recorded = self.store.instances.get(id)
        assert recorded is not None
        self.store.instances.save(replace(recorded, **changes))


def instance(id: InstanceId, index: int) -> RecordedInstance:
    row = applied(spec(id, index=index, bootstrap=index == 0))
    address = {"default": {"ip": f"10.0.0.{index + 2}"}}
    return replace(
        row, vm=vm(id, networks=address, host_public_key="ssh-ed25519 H", created_at=1.0)
    )


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallWorld]:
    store = open_store(f"sqlite:///{tmp_path}/d.db", tmp_path / "tasks")
    world = SmallWorld(store, DirectoryBlobs(tmp_path / "blobs"), tmp_path)
    errand = job("smoke", templates={"run.erb": "bin/run"})
    store.releases.add(release(jobs=(job("redis"), errand), packages=()))
    store.deployments.ensure("dep")
    store.deployments.record(
        DeploymentRecord(name="dep", manifest=MANIFEST, releases=(("redis", "1"),))
    )
    for index, id in enumerate((A, B)):
        made = instance(id, index)
        assert made.vm is not None
        store.instances.save(made)
        store.vms.intend(replace(made.vm, cid=None))
        store.vms.created(made.vm.agent_id, made.vm.cid, made.vm.networks, 1.0)
        machine = world.machines[made.vm.agent_id] = MemoryMachine()
        run = script("echo fine" if index == 0 else "exit 3")
        machine.apply(bundle(served(), rendered("smoke", bin__run=run)), ignore)
        machine.start(QUICK, ignore)
        machine.logs = {"redis/redis.stdout.log": b"hello\n"}
    yield world
    store.close()


# -- vms -------------------------------------------------------------------------------------------


def test_a_line_has_the_types_clients_demand(small: SmallWorld) -> None:
    assert small.run(vms, kind="instances") == ""
    line = next(line for line in small.lines if line["id"] == A)
    assert (line["job_state"], line["state"], line["index"]) == ("running", "started", 0)
    assert line["vm_created_at"] == "1970-01-01T00:00:01Z"
    assert line["ips"] == ["10.0.0.2"]
    assert line["stemcell"] == {"name": "director-debian-12", "version": "1", "api_version": None}
    assert isinstance(line["vitals"]["mem"]["kb"], str)
    (process,) = line["processes"]
    assert process["uptime"] == {"secs": 1}
    assert isinstance(process["mem"]["percent"], float)
    assert all("close" in machine.calls for machine in small.machines.values())


def test_a_silent_machine_is_shown_not_raised(small: SmallWorld) -> None:
    small.machine(B).fail_next("state", MachineUnreachable("cannot reach it"))
    small.run(vms, kind="vms")
    states = {line["id"]: line["job_state"] for line in small.lines}
    assert states == {A: "running", B: "unresponsive agent"}


def test_a_machine_that_hangs_is_given_up(
    small: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vms_module, "LIMIT_S", 0.1)
    let_go = threading.Event()
    hanging: Any = small.machine(B)
    hanging.state = lambda *, vitals=False: let_go.wait(10)
    small.run(vms, kind="vms")
    let_go.set()
    assert {line["job_state"] for line in small.lines} == {"running", "unresponsive agent"}


def test_an_instance_without_vm_has_empty_places(small: SmallWorld) -> None:
    small.store.vms.delete(AgentId(f"agent-{B}"))
    small.run(vms, kind="instances")
    line = next(line for line in small.lines if line["id"] == B)
    empty = ("vm_cid", "active", "vm_created_at", "agent_id", "job_state", "vitals", "vm_type")
    assert {key: line[key] for key in empty} == dict.fromkeys(empty)
    assert (line["ips"], line["processes"]) == ([], [])
    small.run(vms, kind="vms")
    assert [line["id"] for line in small.lines] == [A]


# -- ssh -------------------------------------------------------------------------------------------


def set_up(small: SmallWorld, **target: Any) -> list[dict[str, Any]]:
    params = {"user": "bosh_abc", "public_key": KEY}
    small.run(ssh, command="setup", params=params, target=target)
    rows: list[dict[str, Any]] = json.loads("".join(small.heard.written))
    return rows


def test_ssh_sets_up_and_cleans_up(small: SmallWorld) -> None:
    (row,) = set_up(small, job="redis", ids=["0"], indexes=["0"])
    assert row == {
        "command": "setup",
        "status": "success",
        "ip": "10.0.0.2",
        "host_public_key": "ssh-ed25519 H",
        "id": A,
        "index": 0,
        "job": "redis",
    }
    assert small.machine(A).users == {"bosh_abc": KEY}
    assert [(e.action, e.object_type, e.context) for e in small.heard.audited] == [
        ("setup", "ssh", {"user": "bosh_abc"})
    ]
    small.run(ssh, command="cleanup", params={"user_regex": "^bosh_abc"}, target={"ids": []})
    assert small.machine(A).users == {}


def test_no_ids_are_all_instances(small: SmallWorld) -> None:
    assert {row["id"] for row in set_up(small, ids=[], indexes=[])} == {A, B}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({"job": "nope"}, InstanceNotFound),
        ({"job": "redis", "ids": ["x y"]}, InstanceInvalidIndex),
        ({"job": "redis", "ids": ["7"]}, InstanceNotFound),
    ],
)
def test_ssh_to_what_is_not_there(
    small: SmallWorld, target: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        set_up(small, **target)


def test_one_failure_does_not_keep_the_others_from_being_tried(small: SmallWorld) -> None:
    small.machine(A).fail_next("add_ssh_user", MachineUnreachable("cannot reach it"))
    with pytest.raises(MachineUnreachable):
        set_up(small)
    assert small.machine(B).users


# -- logs ------------------------------------------------------------------------------------------


def names(small: SmallWorld, blob: str) -> list[str]:
    with small.blobs.open(cast(Any, blob)) as stored, tarfile.open(fileobj=stored) as tar:
        return sorted(tar.getnames())


def test_logs_of_one_are_its_own_and_of_many_together(small: SmallWorld, tmp_path: Path) -> None:
    one = small.run(fetch_logs, group="redis", id="0", type="job", filters=["**/*.log"])
    assert names(small, one) == ["./redis/redis.stdout.log"]
    all_of_them = small.run(fetch_logs, group="*", id="*", type="job", filters=[])
    assert names(small, all_of_them) == [
        f"redis.{A}.20251130-105320.tgz",
        f"redis.{B}.20251130-105320.tgz",
    ]
    assert not list(tmp_path.glob("logs-*"))


def test_logs_of_an_instance_without_vm(small: SmallWorld) -> None:
    small.store.vms.delete(AgentId(f"agent-{B}"))
    with pytest.raises(InstanceWithoutVm):
        small.run(fetch_logs, group="redis", id="1", type="job", filters=[])


# -- errands ---------------------------------------------------------------------------------------


def test_an_errand_runs_everywhere_and_its_failure_is_a_result(small: SmallWorld) -> None:
    assert small.run(run_errand, errand="smoke") == "1 succeeded, 1 errored, 0 canceled"
    told = {line["instance"]["id"]: line for line in small.lines}
    assert (told[A]["exit_code"], told[A]["stdout"]) == (0, "fine\n")
    assert told[B]["exit_code"] == 3
    assert small.blobs.exists(told[A]["logs"]["blobstore_id"])
    assert len(told[A]["logs"]["sha1"]) == 40
    assert {(e.action, e.object_type) for e in small.heard.audited} == {("run", "errand")}


@pytest.mark.parametrize("id", ["0", A, "first"])
def test_an_errand_on_a_chosen_instance(small: SmallWorld, id: str) -> None:
    chosen = [{"group": "redis", "id": id}]
    assert small.run(run_errand, errand="smoke", instances=chosen).startswith("1 succeeded, 0")
    assert [line["instance"]["id"] for line in small.lines] == [A]


def test_when_changed_skips_what_succeeded_before(small: SmallWorld) -> None:
    only_a = [{"group": "redis", "id": "0"}]
    small.run(run_errand, errand="smoke", instances=only_a)
    again = small.run(run_errand, errand="smoke", instances=only_a, when_changed=True)
    assert again == "skipped - no changes detected"
    assert small.heard.written == []
    recorded = small.store.instances.get(A)
    assert recorded is not None
    assert recorded.spec is not None
    small.change(A, spec=replace(recorded.spec, packages=()))
    assert "succeeded" in small.run(run_errand, errand="smoke", instances=only_a, when_changed=True)


def test_an_errand_that_failed_is_not_skipped(small: SmallWorld) -> None:
    only_b = [{"group": "redis", "id": "1"}]
    for _ in range(2):
        result = small.run(run_errand, errand="smoke", instances=only_b, when_changed=True)
        assert result == "0 succeeded, 1 errored, 0 canceled"


def test_errands_are_refused_by_name(small: SmallWorld) -> None:
    with pytest.raises(ErrandNotFound, match="there are: 'smoke'"):
        small.run(run_errand, errand="redis")
    small.change(B, state=DesiredState.STOPPED)
    with pytest.raises(ErrandError, match=f"redis/{B}"):
        small.run(run_errand, errand="smoke")
    assert small.store.locks.list() == []


def test_what_ran_is_told_when_another_instance_fails(small: SmallWorld) -> None:
    small.machine(B).fail_next("run_errand", MachineError("it broke"))
    with pytest.raises(MachineError, match="it broke"):
        small.run(run_errand, errand="smoke")
    assert [line["instance"]["id"] for line in small.lines] == [A]


def test_logs_that_cannot_be_fetched_do_not_spoil_an_errand(small: SmallWorld) -> None:
    small.machine(A).fail_next("fetch_logs", MachineUnreachable("gone"))
    only_a = [{"group": "redis", "id": "0"}]
    assert small.run(run_errand, errand="smoke", instances=only_a).startswith("1 succeeded")
    assert small.lines[0]["logs"] == {"blobstore_id": None, "sha1": None}


def test_packed_logs_hold_what_was_logged(small: SmallWorld) -> None:
    blob = small.run(fetch_logs, group="redis", id="0", type="job", filters=[])
    with small.blobs.open(cast(Any, blob)) as stored:
        content = io.BytesIO(stored.read())
    with tarfile.open(fileobj=content) as tar:
        (member,) = tar.getmembers()
        extracted = tar.extractfile(member)
        assert extracted is not None
        assert extracted.read() == b"hello\n"

"""The HTTP contract: paths, codes and bodies, over real handlers, store and queue."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from director.api import bodies
from director.api.app import make_api
from director.api.server import serving
from director.blobs.directory import DirectoryBlobs
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.configs import CpiConfig, CpiEntry
from director.model.events import AuditEvent
from director.model.ids import AgentId, BlobId, DiskCid, InstanceId, StemcellCid, VmCid
from director.model.instances import RecordedDisk, RecordedInstance, RecordedVm
from director.model.records import DeploymentRecord, PlanRecord, VariableRecord
from director.model.release import Job, LinkSpec, Package, Release
from director.model.stemcell import Stemcell
from director.model.tasks import Task, TaskState
from director.store.store import Store, open_store
from director.tasks.local_queue import LocalQueue

UUID = "11111111-1111-1111-1111-111111111111"
MANIFEST = """\
name: cf
releases: [{name: redis, version: latest}]
stemcells: [{alias: default, os: debian-12, version: latest}]
instance_groups:
- {name: smoke, lifecycle: errand, jobs: []}
- {name: web, jobs: [{name: web, release: redis}, {name: test, release: redis}]}
"""


@dataclass
class SmallWorld:
    """As much of the world as the API uses."""

    store: Store
    work_dir: Path
    blobs: DirectoryBlobs
    name: str = "test"
    director_uuid: str = "d-uuid"
    now: Callable[[], float] = lambda: 1795179848.5
    new_id: Callable[[], str] = lambda: "new"
    cpi_config: Callable[[], CpiConfig] = CpiConfig
    cpi_types: Callable[[], tuple[str, ...]] = lambda: ("aws", "memory")


class Director:
    """The API under test, with every task doing what ``operation`` says (nothing, by default)."""

    def __init__(self, home: Path) -> None:
        self.store = open_store(f"sqlite:///{home}/d.db", home / "tasks", now=lambda: 1795179848.0)
        self.work_dir = home / "work"
        self.work_dir.mkdir()
        self.blobs = DirectoryBlobs(home / "blobs")
        self.operation: Callable[[World, TaskRun], str] = lambda world, run: ""
        self.world = cast(World, SmallWorld(self.store, self.work_dir, self.blobs))
        self.queue = LocalQueue(self.world, owner="me", find=lambda _: self._run)
        app = make_api(self.world, self.queue, user="ann", cpi="memory", version="1")
        self._stack = ExitStack()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(home / "socket"))
        listener.listen()
        self._stack.enter_context(serving(app, listener))
        transport = httpx.HTTPTransport(uds=str(home / "socket"))
        self.http = self._stack.enter_context(
            httpx.Client(transport=transport, base_url="http://director", timeout=30)
        )

    def close(self) -> None:
        assert self.queue.close(timeout_s=10)
        self._stack.close()
        self.store.close()

    def _run(self, world: World, run: TaskRun) -> str:
        return self.operation(world, run)

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def task(self, method: str, path: str, **sent: Any) -> Task:
        """Send a request that is answered by a task; return the task after its end."""
        answer = self.http.request(method, path, **sent)
        assert answer.status_code == (302 if method == "GET" else 303), answer.text
        assert not answer.content
        location = answer.headers["location"]
        assert location.startswith("/tasks/")
        assert self.queue.idle(10)
        return self.store.tasks.get(int(location.rpartition("/")[2]))


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    made = Director(tmp_path)
    yield made
    made.close()


@pytest.fixture
def deployed(director: Director) -> Director:
    """A director with one deployment, its release, stemcell, instance, VM and disk."""
    store = director.store
    config = store.configs.create("cloud", "default", "azs: [{name: z1}]\n")
    store.releases.add(
        Release(
            name="redis",
            version="2",
            commit_hash="abc",
            jobs={
                "web": Job(name="web", fingerprint="jf", consumes=(LinkSpec(name="a", type="b"),)),
                "test": Job(name="test", fingerprint="tf", templates={"run": "bin/run"}),
            },
            packages={
                "redis": Package(name="redis", fingerprint="pf", blob=BlobId("b"), digest="d")
            },
        )
    )
    store.releases.add(Release(name="redis", version="10"))
    store.stemcells.add(
        Stemcell(name="debian", version="1", operating_system="debian-12", cid=StemcellCid("s"))
    )
    store.deployments.record(
        DeploymentRecord(
            name="cf",
            manifest=MANIFEST,
            cloud_config_ids=(config.id,),
            releases=(("redis", "2"),),
            stemcells=(("debian", "1"),),
        )
    )
    store.instances.save(
        RecordedInstance(id=InstanceId(UUID), deployment="cf", group="web", index=0, az="z1")
    )
    vm = RecordedVm(agent_id=AgentId("a"), deployment="cf", instance_id=InstanceId(UUID))
    store.vms.intend(vm)
    store.vms.created(AgentId("a"), VmCid("v"), {"n": {"ip": "10.0.0.2"}}, 1795179848.0)
    return director


def test_info(director: Director) -> None:
    info = director.get("/info")
    assert (info["name"], info["uuid"], info["user"]) == ("test", "d-uuid", "ann")
    assert info["user_authentication"] == {"type": "basic", "options": {}}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/tasks/999", 404, 10000),
        ("GET", "/tasks/x", 404, 10000),
        ("GET", "/tasks/999999999999999999999999", 404, 10000),
        ("GET", "/tasks?state=odd", 400, 710001),
        ("GET", "/tasks?limit=many", 400, 710001),
        ("DELETE", "/task/999", 404, 10000),
        ("GET", "/deployments/nope", 404, 70000),
        ("DELETE", "/deployments/nope", 404, 70000),
        ("GET", "/deployments/nope/vms?format=full", 404, 70000),
        ("GET", "/deployments/nope/errands", 404, 70000),
        ("GET", "/deployments/nope/variables", 404, 70000),
        ("PUT", "/deployments/cf/jobs/web?state=odd", 400, 710001),
        ("PUT", "/deployments/cf/jobs/none?state=started", 404, 70001),
        ("PUT", "/deployments/cf/jobs/web/7?state=started", 404, 70001),
        ("PUT", "/deployments/cf/jobs/web/abc?state=started", 400, 70002),
        ("POST", "/deployments/cf/instance_groups/web/0/actions/stop", 400, 190100),
        ("GET", "/deployments/cf/jobs/web/9/logs", 404, 70001),
        ("GET", "/deployments/cf/jobs/web/0/logs?type=odd", 400, 710001),
        ("GET", "/releases/nope", 404, 30005),
        ("GET", "/releases/redis?version=9", 404, 30006),
        ("DELETE", "/releases/nope", 404, 30005),
        ("GET", "/configs/999", 404, 440012),
        ("GET", "/configs/x", 404, 440012),
        ("GET", "/configs?limit=0", 400, 440010),
        ("GET", "/configs?latest=maybe", 400, 440010),
        ("DELETE", "/configs", 400, 440010),
        ("DELETE", "/configs?type=cloud&name=none", 404, 440012),
        ("GET", f"/resources/{'a' * 64}", 404, 100002),
        ("GET", "/resources/..%2f..%2fdirector.db", 404, None),
        ("GET", "/resources/a.b", 400, 100001),
        ("PUT", "/disks/d/attachments", 400, 710001),
        ("PUT", "/disks/d/attachments?deployment=x&instance_id=y&job=z", 404, 70000),
        ("GET", "/events/x", 404, None),
        ("GET", "/events?before_time=soon", 400, 710001),
        ("GET", "/nonsense", 404, None),
        ("PATCH", "/tasks", 404, None),
        ("GET", "/tasks/", 404, None),
        ("GET", "/cloud_configs", 400, None),
    ],
)
def test_refusals(
    deployed: Director, method: str, path: str, status: int, code: int | None
) -> None:
    answer = deployed.http.request(method, path)
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["code"] == code
        assert answer.json()["description"]
    assert deployed.store.tasks.list() == []


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        pytest.param("/deployments", "", 440001, "empty", id="empty"),
        pytest.param("/deployments", "- a", 440001, "mapping", id="list"),
        pytest.param("/deployments", "a: {", 440001, "manifest:2:1", id="broken"),
        pytest.param("/deployments", "a: 1", 190014, "no 'name'", id="nameless"),
        pytest.param("/deployments", "name: 7", 190014, "manifest:1:7", id="number"),
        pytest.param("/deployments?context={", "name: a", 710001, "context", id="context"),
        pytest.param(
            '/deployments?context={"cloud_config_ids":[9]}', "name: a", 710001, "exist", id="ids"
        ),
        pytest.param("/deployments", b"name: \xff", 710001, "UTF-8", id="latin"),
        pytest.param("/cloud_configs", "a: *b", 440001, "cloud-config:1:", id="config"),
        pytest.param("/packages/matches", "a: 1", 440001, "release manifest", id="matches"),
        pytest.param("/configs", "[]", 710001, "object", id="json-list"),
        pytest.param("/configs", "{", 710001, "not JSON", id="json-broken"),
        pytest.param("/configs", "[" * 100_000, 710001, "not JSON", id="json-deep"),
        pytest.param("/configs", '{"type":"a","name":"b"}', 440010, "content", id="missing"),
        pytest.param("/stemcell_uploads", "{}", 40001, "stemcell", id="stemcell"),
        pytest.param("/deployments/cf/ssh", '{"command":"odd"}', 710001, "command", id="ssh"),
        pytest.param(
            "/deployments/cf/errands/e/runs", '{"instances":["a"]}', 710001, "group", id="errand"
        ),
    ],
)
def test_bodies_that_are_refused(
    deployed: Director, path: str, body: str | bytes, code: int, words: str
) -> None:
    answer = deployed.http.post(path, content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == code
    assert words in answer.json()["description"]
    assert deployed.store.tasks.list() == []


def test_a_hundred_megabytes_are_refused_and_not_kept(director: Director) -> None:
    chunks = (b"a: 1\n" * 200_000 for _ in range(100))
    answer = director.http.post("/deployments", content=chunks)
    assert (answer.status_code, answer.json()["code"]) == (413, 710002)
    assert "10 MB" in answer.json()["description"]


# -- tasks --------------------------------------------------------------------------------------


def test_a_task_and_its_output(deployed: Director) -> None:
    def operation(world: World, run: TaskRun) -> str:
        run.write_result("abcdef")
        return "well"

    deployed.operation = operation
    made = deployed.task("GET", "/deployments/cf/vms?format=full")
    assert made.args == {"deployment": "cf", "kind": "vms"}
    assert deployed.get(f"/tasks/{made.id}") == {
        "id": made.id,
        "state": "done",
        "description": "retrieve vm-stats",
        "timestamp": 1795179848,
        "started_at": 1795179848,
        "result": "well",
        "user": "ann",
        "deployment": "cf",
        "context_id": "",
    }
    assert deployed.get("/tasks") == []
    assert [t["id"] for t in deployed.get("/tasks?verbose=2&state=done,error")] == [made.id]


@pytest.mark.parametrize(
    ("range", "status", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=4-5", 206, b"45", "bytes 4-5/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, b"Byte range unsatisfiable", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
    ],
)
def test_ranges_of_output(
    director: Director, range: str | None, status: int, body: bytes, content_range: str | None
) -> None:
    id = director.store.tasks.create(type="vms", description="", owner="x", now=1.0).id
    director.store.outputs.append(id, "event", "0123456789")
    headers = {} if range is None else {"Range": range}
    answer = director.http.get(f"/tasks/{id}/output?type=event", headers=headers)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-range") == content_range


def test_output_that_is_empty_unknown_or_large(director: Director) -> None:
    id = director.store.tasks.create(type="vms", description="", owner="x", now=1.0).id
    path = f"/tasks/{id}/output?type="
    first = director.http.get(f"{path}event", headers={"Range": "bytes=0-"})
    assert (first.status_code, first.content) == (200, b"")
    assert director.http.get(f"{path}none").status_code == 204
    assert director.http.get(f"{path}../event").status_code == 401
    large = "x" * 9_000_000
    director.store.outputs.append(id, "debug", large)
    answer = director.http.get(f"{path}debug", headers={"Range": "bytes=1-"})
    assert len(answer.content) == len(large) - 1


def test_cancelling(director: Director) -> None:
    create = director.store.tasks.create
    ids = [create(type="vms", description="", owner="x", now=1.0).id for _ in range(3)]
    assert director.http.delete(f"/task/{ids[0]}").status_code == 204
    again = director.http.delete(f"/task/{ids[0]}")
    assert (again.status_code, again.text) == (
        400,
        "Cannot cancel task 1: invalid state (cancelling)",
    )
    refused = director.http.post("/tasks/cancel", json={"states": ["done"]})
    assert refused.status_code == 400
    assert director.http.post("/tasks/cancel", json={"types": ["ssh"]}).status_code == 204
    assert director.store.tasks.get(ids[1]).state is TaskState.QUEUED
    assert director.http.post("/tasks/cancel", json={}).status_code == 204
    assert director.store.tasks.get(ids[2]).state is TaskState.CANCELLING


def test_the_plan_of_a_task(director: Director) -> None:
    id = director.store.tasks.create(type="x", description="", owner="x", now=1.0).id
    assert director.get(f"/tasks/{id}/plan", 404)["code"] == 10000
    director.store.plans.save(PlanRecord(task_id=id, deployment="cf", text="do it"))
    assert director.get(f"/tasks/{id}/plan") == {"deployment": "cf", "plan": "do it"}


# -- what is asked for becomes a task ------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "type", "description", "args"),
    [
        (
            "DELETE",
            "/deployments/cf?force=true",
            None,
            "delete_deployment",
            "delete deployment cf",
            {"name": "cf", "force": True},
        ),
        (
            "DELETE",
            "/releases/redis?version=2",
            None,
            "delete_release",
            "delete release: redis/2",
            {"name": "redis", "version": "2", "force": False},
        ),
        (
            "DELETE",
            "/stemcells/debian/1",
            None,
            "delete_stemcell",
            "delete stemcell: debian/1",
            {"name": "debian", "version": "1", "force": False},
        ),
        (
            "POST",
            "/releases?rebase=true",
            {"location": "https://x/r.tgz", "sha1": "s"},
            "update_release",
            "create release",
            {"location": "https://x/r.tgz", "sha1": "s", "rebase": True, "fix": False},
        ),
        (
            "POST",
            "/deployments/cf/errands/test/runs",
            {"keep-alive": True, "instances": [{"group": "web", "id": "first"}]},
            "run_errand",
            "run errand test from deployment cf",
            {
                "deployment": "cf",
                "errand": "test",
                "keep_alive": True,
                "when_changed": False,
                "instances": [{"group": "web", "id": "first"}],
            },
        ),
        (
            "POST",
            "/deployments/cf/ssh",
            {"command": "cleanup", "params": {"user_regex": "^x"}, "target": {"job": "web"}},
            "ssh",
            "ssh: cleanup:web",
            {
                "deployment": "cf",
                "command": "cleanup",
                "params": {"user_regex": "^x"},
                "target": {"job": "web"},
            },
        ),
        (
            "GET",
            "/deployments/cf/jobs/*/*/logs?type=job&filters=a,b",
            None,
            "fetch_logs",
            "fetch logs",
            {"deployment": "cf", "group": "*", "id": "*", "type": "job", "filters": ["a", "b"]},
        ),
        (
            "DELETE",
            "/disks/a%2Fb%3Bc",
            None,
            "delete_orphan_disks",
            "delete orphan disks",
            {"cids": ["a/b;c"]},
        ),
        ("DELETE", "/disks/d?orphan=true", None, "orphan_disk", "orphan disk", {"cid": "d"}),
        (
            "PUT",
            f"/disks/a%2Fb/attachments?deployment=cf&instance_id={UUID}&job=web",
            None,
            "attach_disk",
            f"attach disk 'a/b' to 'web/{UUID}'",
            {
                "deployment": "cf",
                "cid": "a/b",
                "instance_id": UUID,
                "group": "web",
                "disk_properties": "",
            },
        ),
        (
            "POST",
            "/cleanup",
            {"config": {"remove_all": True}},
            "delete_artifacts",
            "clean up all",
            {"remove_all": True, "keep_orphaned_disks": False},
        ),
    ],
)
def test_requests_that_become_tasks(
    deployed: Director,
    method: str,
    path: str,
    body: Any,
    type: str,
    description: str,
    args: dict[str, Any],
) -> None:
    sent = {} if body is None else {"json": body}
    made = deployed.task(method, path, **sent)
    assert (made.type, made.description, made.args, made.user) == (type, description, args, "ann")


def test_deploying(deployed: Director) -> None:
    query = 'recreate=true&canaries=50%25&skip_drain=*&context={"cloud_config_ids":[1]}'
    headers = {"Content-Type": "text/yaml", "X-Bosh-Context-Id": "ctx"}
    made = deployed.task("POST", f"/deployments?{query}", content="name: new", headers=headers)
    assert (made.type, made.description, made.deployment, made.context_id) == (
        "update_deployment",
        "create deployment",
        "new",
        "ctx",
    )
    assert made.args["manifest"] == "name: new"
    assert made.args["cloud_config_ids"] == [1]
    assert made.args["options"] == {
        "recreate": True,
        "fix": False,
        "dry_run": False,
        "recreate_persistent_disks": False,
        "force_latest_variables": False,
        "skip_drain": "*",
        "canaries": "50%",
    }
    dry = deployed.task("POST", "/deployments?dry_run=true", content="name: new")
    assert dry.description == "create deployment (dry run)"


@pytest.mark.parametrize(
    ("path", "group", "id"),
    [("*", "*", None), ("web", "web", None), ("web/0", "web", "0"), (f"web/{UUID}", "web", UUID)],
)
def test_changing_state(deployed: Director, path: str, group: str, id: str | None) -> None:
    made = deployed.task("PUT", f"/deployments/cf/jobs/{path}?state=detached&max_in_flight=2")
    assert made.type == "update_deployment"
    assert made.args["change"] == {"state": "detached", "group": group, "id": id}
    assert made.args["options"]["max_in_flight"] == "2"


# -- uploads ------------------------------------------------------------------------------------


def test_an_upload_is_streamed_to_a_file_that_goes_with_its_task(director: Director) -> None:
    seen: list[bytes] = []

    def operation(world: World, run: TaskRun) -> str:
        path = Path(run.task.args["path"])
        assert path.stat().st_mode & 0o777 == 0o600
        seen.append(path.read_bytes())
        return ""

    director.operation = operation
    headers = {"Content-Type": "application/x-compressed"}
    for path in ("/stemcells?fix=true", "/releases"):
        made = director.task("POST", path, content=b"tarball", headers=headers)
        assert made.state is TaskState.DONE
    assert seen == [b"tarball", b"tarball"]
    assert list(director.work_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        pytest.param(b"", "application/x-compressed", 400, id="empty"),
        pytest.param(b"12345678901", "application/x-compressed", 413, id="too-large"),
        pytest.param(b"x", "text/plain", 404, id="media-type"),
        pytest.param(b"{}", "application/json", 400, id="no-location"),
    ],
)
def test_a_refused_upload_leaves_nothing(
    director: Director,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    media_type: str,
    status: int,
) -> None:
    monkeypatch.setattr(bodies, "UPLOAD_LIMIT", 10)
    headers = {"Content-Type": media_type}
    answer = director.http.post("/releases", content=content, headers=headers)
    assert answer.status_code == status
    assert list(director.work_dir.iterdir()) == []
    assert director.store.tasks.list() == []


# -- listings -----------------------------------------------------------------------------------


def test_deployments(deployed: Director) -> None:
    row = {
        "name": "cf",
        "teams": [],
        "cloud_config": "latest",
        "stemcells": [{"name": "debian", "version": "1"}],
        "releases": [{"name": "redis", "version": "2"}],
        "locked": False,
    }
    assert deployed.get("/deployments") == [row]
    deployed.store.configs.create("cloud", "default", "azs: []")
    deployed.store.locks.acquire("lock:deployment:cf", 1, "me", 30, 0)
    (changed,) = deployed.get("/deployments")
    assert changed == {**row, "cloud_config": "outdated", "locked": True}
    (short,) = deployed.get("/deployments?exclude_configs=true&exclude_lock=true")
    assert "cloud_config" not in short
    assert deployed.get("/deployments/cf") == {"manifest": MANIFEST}
    assert deployed.get("/deployment_configs?deployment[]=cf") == [
        {"id": 1, "deployment": "cf", "config": {"id": 1, "type": "cloud", "name": "default"}}
    ]


def test_instances_and_vms(deployed: Director) -> None:
    instance = {
        "agent_id": "a",
        "cid": "v",
        "job": "web",
        "index": 0,
        "id": UUID,
        "az": "z1",
        "ips": ["10.0.0.2"],
        "vm_created_at": "2026-11-20T13:04:08Z",
    }
    assert deployed.get("/deployments/cf/instances") == [{**instance, "expects_vm": True}]
    (vm,) = deployed.get("/deployments/cf/vms")
    assert vm == {**instance, "active": True, "permanent_nats_credentials": False}
    assert deployed.get("/deployments/cf/jobs/web/0")["state"] == "started"
    assert deployed.get("/deployments/cf/errands") == [{"name": "smoke"}, {"name": "test"}]


def test_releases(deployed: Director) -> None:
    (release,) = deployed.get("/releases")
    assert [v["version"] for v in release["release_versions"]] == ["2", "10"]
    assert [v["currently_deployed"] for v in release["release_versions"]] == [True, False]
    found = deployed.get("/releases/redis?version=2")
    assert found["jobs"][1]["consumes"] == [{"name": "a", "type": "b"}]
    assert found["packages"][0]["compiled_packages"] == []
    assert deployed.get("/releases/redis")["versions"] == ["2", "10"]
    blob = deployed.blobs.put(io.BytesIO(b"source"))
    package = Package(name="x", fingerprint="xf", blob=blob, digest="d")
    deployed.store.releases.add(Release(name="other", version="1", packages={"x": package}))
    packages = [
        {"name": name, "version": mark, "fingerprint": mark, "sha1": "d", "dependencies": []}
        for name, mark in (("x", "xf"), ("redis", "pf"), ("new", "nf"))
    ]
    manifest = json.dumps({"name": "x", "version": "1", "packages": packages})
    assert deployed.http.post("/packages/matches", content=manifest).json() == ["xf"]


def test_stemcells(deployed: Director) -> None:
    (stemcell,) = deployed.get("/stemcells")
    assert stemcell["deployments"] == [{"name": "cf"}]
    for version, needed in (("1", False), ("2", True)):
        body = {"stemcell": {"name": "debian", "version": version}}
        answer = deployed.http.post("/stemcell_uploads", json=body)
        assert answer.json() == {"needed": needed}


def test_disks_variables_locks_and_events(deployed: Director) -> None:
    store = deployed.store
    disk = RecordedDisk(token="t", deployment="cf", instance_name="web/x", size_mb=10, az="z1")
    store.disks.intend(replace(disk, cid=DiskCid("d")))
    store.disks.orphan(DiskCid("d"), 1795179848.0)
    (row,) = deployed.get("/disks")
    assert (row["disk_cid"], row["size"], row["orphaned_at"]) == (
        "d",
        10,
        "2026-11-20 13:04:08 UTC",
    )
    store.variables.add(
        VariableRecord(id="7", name="/t/cf/pw", deployment="cf", type="password", sealed=b"s")
    )
    assert deployed.get("/deployments/cf/variables") == [{"id": "7", "name": "/t/cf/pw"}]
    store.locks.acquire("lock:deployment:cf", 3, "me", 30.0, 1795179848.0)
    store.locks.acquire("lock:compile:redis/pf:debian-12/1", 4, "me", 30.0, 0.0)
    assert deployed.get("/locks") == [
        {"type": "deployment", "resource": ["cf"], "timeout": "1795179878.000000", "task_id": "3"}
    ]
    store.events.add(
        AuditEvent(action="create", object_type="vm", object_name="v", timestamp=5.0, task="3")
    )
    assert deployed.get("/events?action=create") == [
        {
            "id": "1",
            "timestamp": 5,
            "user": "admin",
            "action": "create",
            "object_type": "vm",
            "object_name": "v",
            "task": "3",
            "context": {},
        }
    ]
    assert deployed.get("/events?after_time=5") == []
    assert deployed.get("/events?before_time=1970-01-01T00:00:05Z") == []
    assert len(deployed.get("/events?before_time=1970-01-01 00:00:06 UTC")) == 1
    assert deployed.get("/events/1")["object_name"] == "v"


# -- configs ------------------------------------------------------------------------------------


def test_cloud_configs(director: Director) -> None:
    http = director.http
    for text in ("azs: [{name: a}]\n", "azs: [{name: b}]\n", "azs: [{name: b}]\n"):
        answer = http.post("/cloud_configs?name=", content=text)
        assert (answer.status_code, answer.content) == (201, b"")
    assert [row["properties"] for row in director.get("/cloud_configs?limit=9")] == [
        "azs: [{name: b}]\n",
        "azs: [{name: a}]\n",
    ]
    diff = http.post("/cloud_configs/diff", content="azs: [{name: c}]\n").json()
    assert diff == {"diff": [["azs:", None], ["- name: c", "added"], ["- name: b", "removed"]]}
    assert [(e.action, e.object_type) for e in director.store.events.list()] == [
        ("update", "cloud-config")
    ] * 2


WRONG_CLOUD = """\
vm_types:
- {name: small, cloud_propertys: {}}
compilation: {workers: 1, network: private, vm_type: smal, az: z1}
"""


def test_a_wrong_cloud_config_is_refused_when_it_is_set(director: Director) -> None:
    http = director.http
    more = "azs: [{name: z1}]\nnetworks: [{name: private, type: dynamic, subnets: [{az: z1}]}]\n"
    assert http.post("/cloud_configs?name=networks", content=more).status_code == 201
    refused = http.post("/cloud_configs", content=WRONG_CLOUD)
    assert refused.status_code == 400
    told = refused.json()["description"]
    assert "cloud-config:2:17: " in told
    assert "cloud-config:3:54: 'compilation' uses unknown vm_type 'smal'" in told
    assert "private" not in told, "what another config has is not missing"
    assert [row["name"] for row in director.get("/configs?type=cloud")] == ["networks"]

    right = WRONG_CLOUD.replace("propertys", "properties").replace("smal,", "small,")
    filled_later = right.replace("{}}", "{key: ((/cloud/key))}}")
    assert http.post("/cloud_configs", content=filled_later).status_code == 201
    # An entry is moved in two updates, and stands in both configs in between.
    assert http.post("/cloud_configs?name=b", content="azs: [{name: z1}]").status_code == 201


CPIS = """\
cpis:
- {name: a, type: aws, properties: {region: r1, secret: s3cret}}
- {name: b, type: memory}
"""


def test_cpi_configs(director: Director) -> None:
    http = director.http
    for _ in range(2):
        answer = http.post("/cpi_configs", content=CPIS)
        assert (answer.status_code, answer.content) == (201, b"")
    assert [row["properties"] for row in director.get("/cpi_configs?limit=9")] == [CPIS]
    changed = CPIS.replace("s3cret", "other").replace("b, type", "c, type")
    for path in ("/cpi_configs/diff", "/cpi_configs/diff?redact=true"):
        lines = http.post(path, content=changed).json()["diff"]
        assert "s3cret" not in str(lines)
        assert ["  secret: <redacted>", "added"] in [[text[2:], mark] for text, mark in lines]
        assert ["- name: c", "added"] in lines
    assert "s3cret" in http.post("/cpi_configs/diff?redact=false", content=changed).text
    assert [(e.action, e.object_type) for e in director.store.events.list()] == [
        ("update", "cpi-config")
    ]


def test_a_wrong_cpi_config_is_refused_when_it_is_set(director: Director) -> None:
    http = director.http
    body = {"type": "cpi", "name": "more"}
    refused = http.post("/configs", json={**body, "content": CPIS.replace("aws", "asw")})
    assert refused.status_code == 400
    told = refused.json()["description"]
    assert "cpi-config:more:2:19: CPI 'a' is of the unknown type 'asw'" in told
    assert "did you mean 'aws'?" in told
    refused = http.post("/cpi_configs", content="cpus: []")
    assert "cpi-config:1:1: the CPI config has an unknown key 'cpus'" in refused.text
    assert http.post("/cpi_configs", content="").status_code == 400
    assert director.get("/configs?type=cpi") == []


def test_a_stemcell_is_needed_as_long_as_one_cpi_lacks_it(director: Director) -> None:
    def needed() -> bool:
        body = {"stemcell": {"name": "s", "version": "1"}}
        return bool(director.http.post("/stemcell_uploads", json=body).json()["needed"])

    def upload(cpi: str) -> None:
        cid = StemcellCid(f"on-{cpi}")
        director.store.stemcells.add(
            Stemcell(name="s", version="1", operating_system="os", cid=cid, cpi=cpi)
        )

    assert needed()
    upload("")
    assert not needed()
    entries = {
        name: CpiEntry(name=name, type="memory", migrated_from=("",) if name == "a" else ())
        for name in ("a", "b")
    }
    world = cast(SmallWorld, director.world)
    world.cpi_config = lambda: CpiConfig(entries=entries)
    assert needed(), "b lacks it"
    upload("b")
    assert not needed()
    assert [(row["cpi"], row["cid"]) for row in director.get("/stemcells")] == [
        ("", "on-"),
        ("b", "on-b"),
    ]


def test_configs(director: Director) -> None:
    http = director.http
    body = {"type": "runtime", "name": "default", "content": "a: 1", "expected_latest_id": "0"}
    made = http.post("/configs", json=body)
    assert (made.status_code, made.json()["id"]) == (201, "1")
    changed = http.post("/configs", json={**body, "content": "a: 2"})
    assert changed.status_code == 412
    assert (changed.json()["latest_id"], changed.json()["expected_latest_id"]) == ("1", "0")
    assert director.get("/configs?type=runtime&latest=true") == [
        {
            "content": "a: 1",
            "id": "1",
            "type": "runtime",
            "name": "default",
            "team": None,
            "created_at": "2026-11-20 13:04:08 UTC",
            "current": True,
        }
    ]
    diff = http.post("/configs/diff", json={**body, "content": "a: 2"}).json()
    assert diff == {"from": {"id": "1"}, "diff": [["a: 1", "removed"], ["a: 2", "added"]]}
    sides = {"from": {"id": "1", "content": ""}, "to": {"id": "", "content": "b: 1"}}
    assert http.post("/configs/diff", json=sides).json()["from"] == {"id": "1"}
    none = http.post("/configs/diff", json={"type": "x", "name": "y", "content": "a: 1"})
    assert none.json() == {"from": {"id": "0"}, "diff": [["a: 1", "added"]]}
    assert director.get("/configs/1")["content"] == "a: 1"
    assert http.delete("/configs/1").status_code == 204
    assert director.get("/configs/1", 404)["code"] == 440012


# -- the difference a deploy would make ---------------------------------------------------------


def diff(director: Director, manifest: str, query: str = "") -> Any:
    return director.http.post(f"/deployments/cf/diff{query}", content=manifest).json()


def test_an_unchanged_manifest_differs_in_what_latest_means(deployed: Director) -> None:
    changed = diff(deployed, MANIFEST)
    assert changed["context"] == {"cloud_config_ids": [1], "runtime_config_ids": []}
    assert changed["diff"] == [
        ["releases:", None],
        ["- name: redis", None],
        ["  version: '2'", "removed"],
        ["  version: '10'", "added"],
    ]
    deployed.store.releases.delete("redis", "10")
    assert diff(deployed, MANIFEST)["diff"] == []


def test_a_changed_cloud_config_and_secrets_in_a_difference(deployed: Director) -> None:
    deployed.store.releases.delete("redis", "10")
    deployed.store.configs.create("cloud", "default", "azs: [{name: z1}, {name: z2}]\n")
    with_secret = MANIFEST + "properties: {pw: s3cret}\n"
    text = json.dumps(diff(deployed, with_secret))
    assert "z2" in text
    assert "s3cret" not in text
    assert "s3cret" in json.dumps(diff(deployed, with_secret, "?redact=false"))


def test_a_first_deploy_adds_everything_and_a_broken_one_says_why(director: Director) -> None:
    assert {mark for text, mark in diff(director, MANIFEST)["diff"] if text} == {"added"}
    broken = diff(director, "a: {")
    assert broken["diff"] == []
    assert "manifest:2:1" in broken["error"]


def test_a_mistake_of_ours_is_told_without_details(
    deployed: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("p4ssw0rd")

    monkeypatch.setattr(type(deployed.store.locks), "list", fail)
    answer = deployed.http.get("/locks")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in answer.text
    assert "p4ssw0rd" not in answer.text

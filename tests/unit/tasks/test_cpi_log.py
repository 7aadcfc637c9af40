"""Requests to the clouds are logged as JSON, in the task's ``cpi`` output, without any secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from worlds import MemoryWorld, manifest, memory_world

from cpis.contract import CloudError, Cpi, NoDiskSpace
from cpis.memory import MemoryCpi
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.ids import AgentId, DiskCid, StemcellCid, VmCid
from director.model.tasks import Task
from director.operations.deploy import deploy
from director.tasks.cpi_log import logged
from director.tasks.local_queue import LocalQueue
from director.tasks.log import TaskLog


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MemoryWorld]:
    """A world whose tasks log."""
    with memory_world(tmp_path) as lab:
        handler, root = TaskLog(lab.world.store.outputs), logging.getLogger()
        names = ("director", "cpis")
        root.addHandler(handler)
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield lab
        root.removeHandler(handler)
        for name in names:
            logging.getLogger(name).setLevel(logging.NOTSET)


def run(world: World, operation: Callable[[World, TaskRun], str], **args: Any) -> Task:
    """Run an operation as the tasks of a director are run."""
    queue = LocalQueue(world, owner="me", find=lambda _: operation)
    queued = queue.enqueue("t", "t", deployment="d", args=args)
    assert queue.close(timeout_s=30)
    return world.store.tasks.get(queued.id)


def output(world: World, task: Task, kind: str = "cpi") -> str:
    return world.store.outputs.read(task.id, kind).decode()


def entries(world: World, task: Task) -> list[dict[str, Any]]:
    """Return the requests and answers in a task's cpi output."""
    lines = [line for line in output(world, task).splitlines() if " director.cpi [" in line]
    return [json.loads(line.partition("] ")[2]) for line in lines]


def asking(ask: Callable[[World], object]) -> Callable[[World, TaskRun], str]:
    def operation(world: World, _run: TaskRun) -> str:
        ask(world)
        return "done"

    return operation


# -- requests and answers -------------------------------------------------------------------------


def test_a_request_and_its_answer(lab: MemoryWorld) -> None:
    cpi = logged(MemoryCpi({}), "there")
    assert isinstance(cpi, Cpi)

    def ask(_world: World) -> None:
        cid = cpi.create_disk(5, {"type": "fast"}, None, token="disk-token")
        cpi.info()
        cpi.has_disk(cid)
        cpi.create_disk(5, {}, VmCid("gone"), token="")

    task = run(lab.world, asking(ask))
    found = entries(lab.world, task)
    assert [(e["method"], e["cpi"]) for e in found[::2]] == [
        (method, "there") for method in ("create_disk", "info", "has_disk", "create_disk")
    ]
    numbers = [entry.pop("request") for entry in found]
    assert numbers[::2] == numbers[1::2]
    assert all(entry.pop("seconds") < 5 for entry in found[1::2])
    assert [(e.get("arguments"), e.get("result")) for e in found[:-1]] == [
        ([5, {"type": "fast"}, None, "disk-token"], None),
        (None, "disk-1"),
        ([], None),
        (
            None,
            {
                "api_version": 2,
                "stemcell_formats": ["memory", "director-rootfs"],
                "host_keys": True,
                "finds": True,
            },
        ),
        (["disk-1"], None),
        (None, True),
        ([5, {}, "gone", ""], None),
    ]
    assert found[-1]["error"]["type"] == "Bosh::Clouds::VMNotFound"
    assert found[-1]["error"]["ok_to_retry"] is False
    assert "'gone'" in found[-1]["error"]["message"]


def test_what_is_no_request_is_passed_on() -> None:
    memory = MemoryCpi({})
    assert getattr(logged(memory), "vms") == memory.vms  # noqa: B009  # not in the protocol


# -- secrets --------------------------------------------------------------------------------------


def test_values_are_hidden_by_their_keys_and_wherever_they_come_back(lab: MemoryWorld) -> None:
    class Chatty(MemoryCpi):
        def create_vm(self, *args: Any) -> Any:
            env = args[-1]
            logging.getLogger("cpis.external").debug("sent %s", env["bosh"]["password"])
            logging.getLogger("director.execute").debug("key\n%s", env["key"]["private_key"])
            raise NoDiskSpace(f"bad user data: {env['user_data']}", fix=env["api_key"])

    cpi = logged(Chatty({}), "c", frozenset({"of-the-account"}))
    env = {
        "bosh": {"password": "hash-of-it", "authorized_keys": ["ssh-ed25519 AAAA me"]},
        "key": {"private_key": "line-one\nline-two", "public_key": "shown-key"},
        "user_data": "IyEvYmluL3No",
        "api_key": "k-12345",
        "size": 5,
    }

    def ask(_world: World) -> None:
        logging.getLogger("cpis.aws").debug("before: %s", "of-the-account")
        with pytest.raises(CloudError):
            cpi.create_vm(AgentId("agent"), StemcellCid("s"), {}, {}, [], env)
        logging.getLogger("cpis.aws").debug("after: %s", "of-the-account")

    task = run(lab.world, asking(ask))
    texts = output(lab.world, task) + output(lab.world, task, "debug")
    secrets = ("hash-of-it", "line-one", "line-two", "IyEvYmluL3No", "k-12345")
    assert [secret for secret in secrets if secret in texts] == []
    assert "after: of-the-account" not in texts
    request, answer = entries(lab.world, task)
    assert request["arguments"][-1] == {
        "bosh": {"password": "<redacted>", "authorized_keys": ["ssh-ed25519 AAAA me"]},
        "key": {"private_key": "<redacted>", "public_key": "shown-key"},
        "user_data": "<redacted>",
        "api_key": "<redacted>",
        "size": 5,
    }
    assert answer["error"]["message"] == "bad user data: <redacted>\n  Fix: <redacted>"
    assert "cpis.external" in texts


VARIABLES = """
variables:
- {name: /pw, type: password}
- {name: /short, type: password, options: {length: 3}}
- {name: /tls, type: rsa}
"""
CLOUD = """
azs: [{name: z1, cloud_properties: {zone: ((/pw))}}]
vm_types:
- name: small
  cloud_properties: {list: [a((/pw))b, ((/tls)), "x((/short))y", ((/short))], "((/pw))": 1}
networks:
- name: default
  subnets: [{range: 10.0.0.0/24, gateway: 10.0.0.1, az: z1, cloud_properties: {n: ((/pw))}}]
compilation: {workers: 1, network: default, az: z1, vm_type: small, env: {e: ((/pw))}}
"""


def test_no_value_of_a_variable_is_in_any_log_of_a_deploy(lab: MemoryWorld) -> None:
    """Under keys that say nothing, inside texts, as keys, and echoed by a cloud that fails."""
    lab.world.store.configs.create("cloud", "default", CLOUD)
    text = manifest(disk=10, env=1).replace("generation: 1", "g: ((/short)), h: [((/pw))]")

    class Echo(MemoryCpi):
        def create_disk(self, *args: Any, **kwargs: Any) -> DiskCid:
            logging.getLogger("cpis.external").debug("knows %s", self.seen)
            raise CloudError(f"could not: {self.seen}")

        def create_vm(self, *args: Any) -> Any:
            self.seen = json.dumps([args[2], args[5].get("h")])
            return super().create_vm(*args)

    lab.cpi = Echo({})
    lab.cpi.create_stemcell("image", {})
    world = replace(lab.world, cpi=lambda name: logged(lab.cloud(name), name))
    task = run(world, deploy, manifest=text + VARIABLES, options={})
    assert task.result is not None
    assert "could not" in task.result
    made = world.credentials().ensure("d", (), {"/pw", "/short", "/tls"})
    assert len(made["/short"]) == 3
    kinds = ("cpi", "debug", "event", "result")
    texts = task.result + "".join(output(world, task, kind) for kind in kinds)
    texts += "".join(str(event) for event in world.store.events.list())
    assert "knows " in texts
    secrets = [made["/pw"], made["/tls"]["private_key"].splitlines()[3]]
    secrets += [f"x{made['/short']}y", f'"{made["/short"]}"']
    assert [secret for secret in secrets if secret in texts] == []
    asked = [e for e in entries(world, task) if e["method"] == "create_vm" and "arguments" in e]
    assert len(asked) == 4, "two packages, two instances"
    for entry in asked[2:]:
        _, stemcell, properties, networks, disks, env = entry["arguments"]
        hidden = "<redacted>"
        assert properties["list"][0] == properties["list"][2] == properties["list"][3] == hidden
        assert properties["list"][1] == {"private_key": hidden, "public_key": hidden}
        assert properties[hidden] == 1
        assert networks["default"]["cloud_properties"] == {"n": hidden}
        assert networks["default"]["ip"].startswith("10.0.0.")
        assert (env["g"], env["h"], disks, stemcell) == (hidden, [hidden], [], "stemcell-1")
        assert env["bosh"]["ssh_host_key"]["private_key"] == hidden

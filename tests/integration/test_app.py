"""A director in this process: its home, its socket, several at once, and what a killed one left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from director.app import embedded
from director.client.http import Http, over_socket
from director.home import keep_key, open_home
from director.model.errors import SettingsError
from director.model.instances import Reach
from director.settings import Settings, read_settings
from director.store.store import open_store

MEMORY = Settings(name="test", cpi="memory")


@contextmanager
def running(home: Path) -> Iterator[Http]:
    with embedded(home, MEMORY) as path:
        http = over_socket(path)
        try:
            yield http
        finally:
            http.close()


def modes(root: Path) -> dict[str, int]:
    return {
        str(path.relative_to(root)): path.stat().st_mode & 0o777
        for path in (root, *root.rglob("*"))
    }


def test_a_new_home_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with running(home) as http:
        assert http.get_json("/info")["name"] == "test"
        assert http.get_json("/deployments") == []
        found = modes(home)
    assert {mode for mode in found.values() if mode & 0o077} <= {0o644}
    assert found["."] == 0o700
    assert found["keys/digests"] == found["keys/login"] == found["director.db"] == 0o600
    assert list((home / "run").iterdir()) == []
    assert list((home / "tmp").iterdir()) == []
    assert not (home / "director.log").exists()


def test_a_home_remembers_who_it_is(tmp_path: Path) -> None:
    uuids = []
    for _ in range(2):
        with running(tmp_path) as http:
            uuids.append(http.get_json("/info")["uuid"])
    assert uuids[0] == uuids[1]


def test_a_home_that_was_open_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with running(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_deep_home_is_no_obstacle_to_its_socket(tmp_path: Path) -> None:
    with running(tmp_path / ("deep/" * 60)) as http:
        assert http.get_json("/tasks") == []


@pytest.mark.parametrize("root", ["/dev/null/home", "/proc/home"])
def test_a_home_that_cannot_be(root: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used"), embedded(Path(root)):
        pass


def test_many_directors_share_a_home(tmp_path: Path) -> None:
    def use(n: int) -> str:
        with running(tmp_path) as http:
            http.send_yaml("POST", "/runtime_configs", f"a: {n}", {"name": str(n)})
            return str(http.get_json("/info")["uuid"])

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(8)))) == 1
    with running(tmp_path) as http:
        assert len(http.get_json("/configs", {"type": "runtime"})) == 8
    assert list((tmp_path / "run").iterdir()) == []


def test_keys_are_made_once(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: keep_key(home, "k"), range(8)))) == 1
    assert [path.name for path in home.keys.iterdir()] == ["k"]
    (home.keys / "k").write_bytes(b"short")
    with pytest.raises(SettingsError, match="damaged"):
        keep_key(home, "k")


def test_leaving_waits_for_tasks_and_ctrl_c_does_not(tmp_path: Path) -> None:
    manifest = "name: nothing"
    with running(tmp_path) as http:
        answer = http.send_yaml("POST", "/deployments", manifest)
        task = int(answer.headers["location"].rpartition("/")[2])
    with running(tmp_path) as http:
        assert http.get_json(f"/tasks/{task}")["state"] == "error"

    def press_ctrl_c() -> None:
        with running(tmp_path):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


# -- processes ----------------------------------------------------------------------------------

HANGING = """
import pathlib, sys, threading, time, types, uuid
from director.execute.lock import deployment_lock
from director.home import open_home, place_of
from director.store.owner import this_process
from director.store.store import open_store
from director.tasks.local_queue import LocalQueue

home = open_home(pathlib.Path(sys.argv[1]))
store = open_store(f"sqlite:///{home.database}", home.tasks)
owner = this_process(uuid.uuid4().hex)
with place_of(home, owner) as (work, listener):
    world = types.SimpleNamespace(store=store, now=time.time, work_dir=work)
    (work / "upload").write_text("x")

    def hang(world, run):
        with deployment_lock(world, run, "cf"), run.stage("Hanging").track("for ever"):
            print("hanging", flush=True)
            threading.Event().wait()

    queue = LocalQueue(world, owner=owner, workers=1, find=lambda _: hang)
    queue.enqueue("update_deployment", "hang", deployment="cf")
    queue.enqueue("update_deployment", "waits", deployment="cf")
    queue.close()
"""


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A director whose first task never ends and whose second waits."""
    command = [sys.executable, "-c", HANGING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        yield process
        process.kill()


def test_the_tasks_of_a_living_director_are_left_alone(
    hanging: subprocess.Popen[str], tmp_path: Path
) -> None:
    with running(tmp_path) as http:
        assert {task["state"] for task in http.get_json("/tasks")} == {"processing", "queued"}
        assert [lock["resource"] for lock in http.get_json("/locks")] == [["cf"]]
    assert len(list((tmp_path / "tmp").iterdir())) == 1


def test_a_killed_director_leaves_nothing_behind(
    hanging: subprocess.Popen[str], tmp_path: Path
) -> None:
    hanging.kill()
    hanging.wait(10)
    with running(tmp_path) as http:
        tasks = http.get_json("/tasks")
        assert {task["state"] for task in tasks} == {"error"}
        assert "goes on from what is there" in tasks[0]["result"]
        assert http.get_json("/locks") == []
        output = http.raw("GET", "/tasks/1/output", params={"type": "event"}).text
        assert "ended while the task ran" in json.loads(output.splitlines()[-1])["error"]["message"]
        assert len(list((tmp_path / "run").iterdir())) == 1
        assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_lock_of_a_killed_director_is_free_at_once(
    hanging: subprocess.Popen[str], tmp_path: Path
) -> None:
    """A director that was there before the other one died need not start again."""
    from director.store.owner import is_dead

    store = open_store(f"sqlite:///{tmp_path}/director.db", tmp_path / "tasks")
    try:

        def acquire() -> bool:
            return store.locks.acquire("lock:deployment:cf", 99, "me", 30.0, 0.0, is_dead=is_dead)

        assert not acquire()
        hanging.kill()
        hanging.wait(10)
        assert acquire()
    finally:
        store.close()


READ = """
import json, pathlib, sys
from director.app import embedded
from director.client.http import over_socket

with embedded(pathlib.Path(sys.argv[1])) as path:
    http = over_socket(path)
    print(json.dumps([http.get_json("/deployments"), sorted(sys.modules)]))
    http.close()
"""


def read_in_a_process(home: Path) -> Any:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_read_command_does_not_pay_for_what_it_does_not_use(tmp_path: Path) -> None:
    read_in_a_process(tmp_path)
    deployments, modules = read_in_a_process(tmp_path)
    assert deployments == []
    heavy = {"paramiko", "jinja2", "cryptography", "alembic", "jsonschema", "yaml"}
    assert heavy & set(modules) == set()
    assert not any(name.startswith("director.operations.") for name in modules)


def test_two_processes_start_in_a_new_home_at_once(tmp_path: Path) -> None:
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(read_in_a_process(tmp_path)[0]))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [[], []]


# -- settings -----------------------------------------------------------------------------------


def test_an_executable_may_be_the_cpi(tmp_path: Path) -> None:
    text = "cpi: {name: vsphere, exec_path: /opt/cpi, properties: {host: h}}\n"
    (tmp_path / "director.yml").write_text(text)
    assert read_settings(tmp_path) == Settings(
        cpi="vsphere", cpi_exec_path="/opt/cpi", cpi_properties={"host": "h"}
    )


def test_settings_are_read(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == Settings()
    (tmp_path / "director.yml").write_text(
        "name: mine\ncpi: {name: memory, properties: {state_file: /x}}\n"
        "workers: 2\nmax_threads: 8\nboot_timeout: 1.5\nreach: vip\n"
        "enable_cpi_resize_disk: true\nenable_cpi_update_disk: true\n"
    )
    assert read_settings(tmp_path) == Settings(
        name="mine",
        cpi="memory",
        cpi_properties={"state_file": "/x"},
        workers=2,
        max_threads=8,
        boot_timeout_s=1.5,
        reach=Reach.VIP,
        resize_disks=True,
        update_disks=True,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nam: x", "director.yml:1:6: there is no setting 'nam'; did you mean 'name'?"),
        ("workers: 0", "'workers' must be a number from 1 to 1000"),
        ("workers: true", "'workers' must be"),
        ("name: a/b", "'name' must be text without slashes"),
        ("cpi: local", "'cpi' must be a mapping"),
        ("cpi: {name: local, propertys: {}}", "'cpi' must have only"),
        ("cpi: {name: x, exec_path: bin/x}", "'exec_path' of 'cpi' must be an absolute path"),
        ("boot_timeout: -1", "'boot_timeout' must be a number of seconds"),
        ("enable_cpi_resize_disk: 1", "'enable_cpi_resize_disk' must be true or false"),
        ("reach: [vip]", "'reach' must be private or vip"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "director.yml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_settings(tmp_path)
    assert words in str(refused.value)

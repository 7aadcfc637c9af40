"""Several commands at once in one home: locks, cancelling, Ctrl-C, and the deploy after them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from diary_release import Diary, diary_manifest
from samples import greeter, write

pytestmark = pytest.mark.machines

SLOW = "executing pre-start"


@pytest.fixture
def slow(lab: Any, diary: Diary, tmp_path: Path) -> Diary:
    """A deployment of one instance whose pre-start takes a minute; nothing is deployed yet."""
    release = Path(diary.manifest["releases"][0]["url"].removeprefix("file://"))
    manifest = diary_manifest("slow", release)
    del manifest["instance_groups"][1]
    manifest["instance_groups"][0].update(
        instances=1,
        jobs=[{"name": "diary", "release": "diary", "properties": {"pre_start_s": 60}}],
    )
    return Diary(director=lab, directory=tmp_path, manifest=manifest)


def start(slow: Diary) -> tuple[subprocess.Popen[str], int]:
    """Deploy without waiting; returns once the slow script runs, with the task's number."""
    tasks = slow.director.home / "tasks"
    before = {path.name for path in tasks.iterdir()}
    process = slow.director.start("deploy", slow.file())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for path in tasks.iterdir():
            events = path / "event"
            if path.name not in before and events.exists() and SLOW in events.read_text():
                return process, int(path.name)
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the deploy did not come so far: {process.communicate()[0]}")


def end(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=60)
    assert "Traceback" not in told, told
    return told


def test_locks_cancelling_and_ctrl_c(lab: Any, slow: Diary) -> None:
    process, task = start(slow)
    second = slow.director.start("deploy", slow.file())
    (lock,) = lab.rows("locks")
    assert (lock["type"], lock["resource"]) == ("deployment", "slow")
    assert lock["task_id"] == str(task)
    running = {row["id"]: row for row in lab.rows("tasks")}
    assert running[str(task)]["state"] == "processing"
    assert running[str(task)]["deployment"] == "slow"
    followed = slow.director.start("task", str(task))
    told = end(second)
    assert second.returncode == 1
    assert f"deployment 'slow' is locked by task {task}" in told
    assert f"director cancel-task {task}" in told

    cancelled_at = time.monotonic()
    lab.run("cancel-task", str(task))
    told = end(process)
    assert time.monotonic() - cancelled_at < 20
    assert process.returncode == 1
    assert f"Task {task} cancelled" in told
    assert "is 'cancelled'" in end(followed)
    assert lab.rows("locks") == []

    process, task = start(slow)
    os.killpg(process.pid, signal.SIGINT)
    told = end(process)
    assert process.returncode == 1
    assert f"Cancelling task {task}" in told
    assert "Ctrl-C again" in told
    assert f"Task {task} cancelled" in told

    process, task = start(slow)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.05)
    left_at = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    told = end(process)
    assert time.monotonic() - left_at < 1
    assert process.returncode == 130
    assert "Left without waiting" in told
    states = {row["id"]: row["state"] for row in lab.rows("tasks", "--recent")}
    assert states[str(task)] in ("cancelled", "error")

    slow.job("diary")["properties"] = {"pre_start_s": 0}
    slow.deploy()
    (row,) = slow.instances()
    assert row["process_state"] == "running"
    assert lab.rows("locks") == []
    slow.run("delete-deployment")
    assert slow.run("clean-up", "--all").returncode == 0
    assert lab.rows("disks", "--orphaned") == []


def test_two_deployments_at_once(lab: Any, tmp_path: Path) -> None:
    files = [write(greeter(name, instances=2), tmp_path) for name in ("left", "right")]
    lab.run("upload-release", "releases/greeter")
    processes = [lab.start("deploy", file) for file in files]
    for process in processes:
        told = end(process)
        assert process.returncode == 0, told
    rows = [row for name in ("left", "right") for row in lab.rows("-d", name, "instances")]
    assert [row["process_state"] for row in rows] == ["running"] * 4
    assert len({row["ips"] for row in rows}) == 4
    deletions = [lab.start("-d", name, "delete-deployment") for name in ("left", "right")]
    for process in deletions:
        told = end(process)
        assert process.returncode == 0, told
    assert {"left", "right"}.isdisjoint(row["name"] for row in lab.rows("deployments"))

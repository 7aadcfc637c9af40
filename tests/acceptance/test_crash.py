"""kill -9 of the director at many moments of a deploy: a new deploy converges, nothing leaks."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from samples import greeter, write

pytestmark = pytest.mark.machines

MOMENTS = [5, 1, 3, 4, 6, 7, 9, 11, 14, 17, 20, 23]
"""After how many lines of progress the director is killed: from the first to the last step."""


def events(director: Any, after: int) -> int:
    """Return how many lines of progress the newest deploy task has written."""
    tasks = sorted((director.home / "tasks").glob("*"), key=lambda path: int(path.name))
    newest = [path for path in tasks if int(path.name) > after]
    if not newest or not (newest[-1] / "event").exists():
        return 0
    return (newest[-1] / "event").read_bytes().count(b"\n")


def newest_task(director: Any) -> int:
    numbers = [int(path.name) for path in (director.home / "tasks").glob("*")]
    return max(numbers, default=0)


def kill_after(director: Any, manifest: Path, lines: int) -> bool:
    """Deploy, and kill the director once it reported ``lines`` lines; False if it was quicker."""
    before = newest_task(director)
    process = director.start("deploy", manifest)
    try:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if events(director, before) >= lines:
                os.kill(process.pid, signal.SIGKILL)
                return True
            time.sleep(0.002)
        return False
    finally:
        process.kill()
        process.communicate(timeout=60)


def really_there(director: Any) -> tuple[set[str], set[str]]:
    """Return the VMs and disks that exist on this host for this director."""
    cpi_home = director.home / "local"
    vms = {path.name for path in (cpi_home / "vms").glob("vm-*")}
    disks = {path.name.split(".")[0] for path in (cpi_home / "disks").glob("disk-*")}
    return vms, disks


def assert_converged(director: Any, name: str, instances: int) -> None:
    """All run, nothing exists twice or for nobody."""
    rows = director.rows("-d", name, "instances", "--details")
    assert [row["process_state"] for row in rows] == ["running"] * instances
    assert len({row["ips"] for row in rows}) == instances
    vms, disks = really_there(director)
    assert vms == {row["vm_cid"] for row in rows}
    orphans = {row["disk_cid"] for row in director.rows("disks", "--orphaned")}
    assert disks == {row["disk_cids"] for row in rows} | orphans


def test_killed_at_many_moments(director: Any, tmp_path: Path) -> None:
    killed = 0
    for number, lines in enumerate(MOMENTS):
        # Each round recreates every VM, replaces every disk, and adds or removes an instance.
        instances = 2 + number % 2
        wanted = greeter("crash", instances=instances, persistent_disk=32 + number)
        wanted["instance_groups"][0]["env"] = {"generation": number}
        file = write(wanted, tmp_path)
        killed += kill_after(director, file, lines)
        director.run("deploy", file)
        assert_converged(director, "crash", instances)
    assert killed >= 10, f"only {killed} of {len(MOMENTS)} deploys were killed in time"
    assert director.rows("locks") == []
    states = {row["state"] for row in director.rows("tasks", "--recent", "-a")}
    assert states <= {"done", "error"}

    director.run("-d", "crash", "delete-deployment")
    for disk in director.rows("disks", "--orphaned"):
        director.run("delete-disk", disk["disk_cid"])
    assert really_there(director) == (set(), set())

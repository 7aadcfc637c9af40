"""What breaks behind the director's back, and what brings it back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from diary_release import Diary

pytestmark = pytest.mark.machines

KILL = """
pid=/var/vcap/sys/run/diary/diary.pid
old=$(sudo cat $pid)
sudo kill -9 "$old"
for _ in $(seq 100); do
  new=$(sudo cat $pid)
  [ -n "$new" ] && [ "$new" != "$old" ] && sudo kill -0 "$new" && exit 0
  sleep 0.1
done
exit 1
"""


def kept(row: dict[str, str]) -> tuple[str, str, str]:
    """Return what stays whatever becomes of an instance's VM."""
    return row["instance"], row["ips"], row["disk_cids"]


def test_a_killed_process_is_back_within_seconds(diary: Diary) -> None:
    diary.run("ssh", "diary/0", "-c", KILL)
    wait_until_all_run(diary)


def wait_until_all_run(diary: Diary) -> None:
    """Wait until monit has seen everything run: it looks once a second."""
    deadline = time.monotonic() + 30
    while any(
        row["process_state"] != "running"
        for row in diary.rows("instances", "--ps")
        if row["instance"].startswith("diary/")
    ):
        assert time.monotonic() < deadline


def test_a_reboot(diary: Diary) -> None:
    before = diary.instances()[0]
    diary.shell("diary/0", "echo survives | sudo tee /var/vcap/store/proof")
    begin = time.time()
    diary.director.cpi().reboot_vm(before["vm_cid"])
    wait_until_all_run(diary)
    assert diary.instances()[0] == before
    told = diary.shell("diary/0", "cat /var/vcap/store/proof; grep -c /var/vcap/store /proc/mounts")
    assert told.split() == ["survives", "1"]
    # No script runs after a reboot nobody planned: monit's start programs only.
    assert {entry.script for entry in diary.entries("diary/0", begin)} == {"start"}
    assert "unchanged" in diary.deploy("--dry-run")


def test_a_vm_that_is_gone_is_made_again_by_a_deploy(diary: Diary) -> None:
    before = diary.instances()
    diary.director.cpi().delete_vm(before[1]["vm_cid"])
    (row,) = [r for r in diary.rows("instances", "--failing") if r["instance"][:5] == "diary"]
    assert (row["instance"], row["process_state"]) == (before[1]["instance"], "unresponsive agent")
    diary.deploy()
    after = diary.instances()
    assert list(map(kept, after)) == list(map(kept, before))
    assert after[0] == before[0]
    assert after[1]["vm_cid"] != before[1]["vm_cid"]
    assert after[1]["process_state"] == "running"


def test_a_silent_vm_needs_fix(diary: Diary) -> None:
    before = diary.instances()
    diary.shell("diary/0", "echo survives | sudo tee /var/vcap/store/proof")
    diary.run("ssh", "diary/0", "-c", "sudo mv /usr/sbin/sshd /root/; sudo kill $(pgrep -o sshd)")
    assert diary.instances()[0]["process_state"] == "unresponsive agent"
    told = diary.deploy(ok=False)
    assert f"does not answer:\n  {before[0]['instance']}" in told
    assert "--fix" in told
    assert "Updating" not in told
    diary.deploy("--fix")
    after = diary.instances()
    assert list(map(kept, after)) == list(map(kept, before))
    assert after[0]["vm_cid"] != before[0]["vm_cid"]
    assert after[1] == before[1]
    assert diary.shell("diary/0", "cat /var/vcap/store/proof") == "survives"


def test_disks_by_hand(lab: Any, diary: Diary) -> None:
    """A disk that was orphaned with its instance is brought back with what is on it."""
    group = diary.manifest["instance_groups"][0]
    kept_disk, old = (row["disk_cids"] for row in diary.instances())
    diary.shell("diary/1", "echo treasure | sudo tee /var/vcap/store/proof")
    group["instances"] = 1
    diary.deploy("--skip-drain")
    (orphan,) = lab.rows("disks", "--orphaned")
    assert orphan["disk_cid"] == old
    assert orphan["deployment"] == diary.name
    assert lab.run("delete-disk", kept_disk, ok=False).returncode == 1

    group["instances"] = 2
    diary.deploy("--skip-drain")
    new = diary.instances()[1]["disk_cids"]
    diary.run("stop", "diary/1", "--skip-drain")
    diary.run("attach-disk", diary.instances()[1]["instance"], old)
    diary.run("start", "diary/1")
    assert diary.instances()[1]["disk_cids"] == old
    assert diary.shell("diary/1", "cat /var/vcap/store/proof") == "treasure"
    assert [row["disk_cid"] for row in lab.rows("disks", "--orphaned")] == [new]
    lab.run("delete-disk", new)

    diary.run("stop", "diary/1", "--skip-drain")
    lab.run("orphan-disk", old)
    assert [row["disk_cid"] for row in lab.rows("disks", "--orphaned")] == [old]
    diary.run("start", "diary/1")
    assert diary.instances()[1]["disk_cids"] not in ("", old)
    lab.run("clean-up")
    assert len(lab.rows("disks", "--orphaned")) == 1
    lab.run("clean-up", "--all")
    assert lab.rows("disks", "--orphaned") == []
    assert not (lab.home / "local" / "disks" / old).exists()

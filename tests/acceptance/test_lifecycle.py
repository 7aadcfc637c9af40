"""The scripts of jobs: their order, their arguments and what they are told, on real machines."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from diary_release import Diary, Entry, diary_manifest, read_diary

pytestmark = pytest.mark.machines

DOWN = ["pre-stop", "drain", "stop", "post-stop"]
UP = ["pre-start", "start", "post-start", "post-deploy"]
KEPT = {
    "BOSH_VM_NEXT_STATE": "keep",
    "BOSH_INSTANCE_NEXT_STATE": "keep",
    "BOSH_DEPLOYMENT_NEXT_STATE": "keep",
}


def scripts(entries: list[Entry], job: str = "diary") -> list[str]:
    return [entry.script for entry in entries if entry.job == job]


def find(entries: list[Entry], script: str, job: str = "diary") -> Entry:
    return next(entry for entry in entries if entry.script == script and entry.job == job)


def disk_mb(entry: Entry, name: str) -> int:
    return int(json.loads(entry.told[name])["persistent_disk"])


def from_disk(director: Any, cid: str) -> list[Entry]:
    """Return the diary on a disk that no machine has any more."""
    image = director.home / "local" / "disks" / cid / "image"
    told = subprocess.run(
        ["debugfs", "-R", "cat /diary", image], capture_output=True, text=True, check=True
    )
    return read_diary(told.stdout)


def test_order_up_and_post_deploy_after_all(diary: Diary) -> None:
    told = [diary.entries(f"diary/{index}") for index in (0, 1)]
    for entries in told:
        assert scripts(entries)[:4] == UP
        assert all(not entry.told for entry in entries[:4])
    last = max(find(entries, "post-start").at for entries in told)
    assert all(find(entries, "post-deploy").at > last for entries in told)


def test_an_update_in_place(diary: Diary) -> None:
    before = diary.instances()
    begin = time.time()
    diary.job("diary")["properties"] = {"word": "changed"}
    diary.job("patient")["properties"] = {"patience_s": 0}
    diary.deploy()
    assert [row["vm_cid"] for row in diary.instances()] == [row["vm_cid"] for row in before]

    entries = diary.entries("diary/0", begin)
    assert scripts(entries) == [*DOWN, *UP]
    assert dict(find(entries, "pre-stop").told) == KEPT
    drain = find(entries, "drain")
    assert drain.arguments == ("job_changed", "hash_changed")
    assert disk_mb(drain, "BOSH_JOB_STATE") == disk_mb(drain, "BOSH_JOB_NEXT_STATE") == 32

    # A dynamic drain (that of the old version) is called again where its answer is negative.
    first, again = [entry for entry in entries if entry.job == "patient"][:2]
    assert (first.script, first.arguments) == ("drain", ("job_changed", "hash_changed"))
    assert (again.script, again.arguments) == ("drain", ("job_check_status", "hash_unchanged"))
    assert "BOSH_JOB_NEXT_STATE" not in again.told
    assert again.at - first.at >= 1
    assert find(entries, "stop").at > again.at


def test_a_recreate_and_a_restart_without_drain(diary: Diary) -> None:
    begin = time.time()
    diary.run("recreate", "diary/0")
    entries = diary.entries("diary/0", begin)
    assert scripts(entries)[:8] == [*DOWN, *UP]
    assert dict(find(entries, "pre-stop").told) == {**KEPT, "BOSH_VM_NEXT_STATE": "delete"}
    drain = find(entries, "drain")
    assert drain.arguments == ("job_shutdown", "hash_unchanged")
    assert disk_mb(drain, "BOSH_JOB_NEXT_STATE") == 32

    begin = time.time()
    told = diary.run("restart", "diary/1", "--skip-drain").stdout
    assert "skipped pre-stop & drain" in told
    down = ["stop", "post-stop"]
    assert scripts(diary.entries("diary/1", begin))[:5] == [*down, *UP[:3]]


def test_a_deletion_tells_who_goes(lab: Any, diary: Diary, tmp_path: Path) -> None:
    """An instance that goes, and one that goes with its deployment; the disk tells the rest."""
    release = Path(diary.manifest["releases"][0]["url"].removeprefix("file://"))
    manifest = diary_manifest("leaving", release)
    manifest["instance_groups"][0]["jobs"] = [{"name": "diary", "release": "diary"}]
    leaving = Diary(director=lab, directory=tmp_path, manifest=manifest)
    leaving.deploy()
    disks = [row["disk_cids"] for row in leaving.instances()]

    manifest["instance_groups"][0]["instances"] = 1
    leaving.deploy()
    assert [row["disk_cids"] for row in leaving.instances()] == disks[:1]
    leaving.run("delete-deployment")
    assert "leaving" not in {row["name"] for row in lab.rows("deployments")}

    going = {**KEPT, "BOSH_VM_NEXT_STATE": "delete", "BOSH_INSTANCE_NEXT_STATE": "delete"}
    gone = {**going, "BOSH_DEPLOYMENT_NEXT_STATE": "delete"}
    for cid, told in zip(disks, (gone, going), strict=True):
        entries = from_disk(lab, cid)
        assert scripts(entries)[-4:] == DOWN
        assert dict(find(entries, "pre-stop").told) == told
        drain = find(entries, "drain")
        assert drain.arguments == ("job_shutdown", "hash_unchanged")
        assert disk_mb(drain, "BOSH_JOB_STATE") == 32
        lab.run("delete-disk", cid)

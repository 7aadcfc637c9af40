"""Deploy a small release for real, change it, and see that only what differs is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from samples import REPOSITORY, greeter, write

pytestmark = pytest.mark.machines


def instances(director: Any, deployment: str) -> dict[str, dict[str, str]]:
    """Return the rows of ``instances --details`` by index-free instance name."""
    return {
        row["instance"]: row for row in director.rows("-d", deployment, "instances", "--details")
    }


def job(link: str, word: str) -> dict[str, Any]:
    """Return a greeter that knows only its own group's instances, by a link of that name."""
    return {
        "name": "greeter",
        "release": "greeter",
        "properties": {"word": word},
        "provides": {"greeter": {"as": link}},
        "consumes": {"greeter": {"from": link}},
    }


def test_deploy_change_and_delete(director: Any, tmp_path: Path) -> None:
    manifest = greeter("one", persistent_disk=64)
    manifest["instance_groups"][0]["jobs"] = [job("greeters", "Welcome")]
    file = write(manifest, tmp_path)

    director.run("upload-release", REPOSITORY / "releases" / "greeter")
    plan = director.run("deploy", file, "--dry-run").stdout
    assert "is new" in plan
    assert director.rows("instances") == []

    director.run("deploy", file)
    first = instances(director, "one")
    assert len(first) == 2
    assert {row["process_state"] for row in first.values()} == {"running"}

    again = director.run("deploy", file)
    assert "Updating instance" not in again.stdout
    assert instances(director, "one") == first

    other = {"name": "other", "instances": 1, "jobs": [job("others", "Hi")], "persistent_disk": 0}
    manifest["instance_groups"].append({**manifest["instance_groups"][0], **other})
    director.run("deploy", write(manifest, tmp_path))
    manifest["instance_groups"][1]["jobs"] = [job("others", "Goodbye")]
    file = write(manifest, tmp_path)
    plan = director.run("deploy", file, "--dry-run").stdout
    assert "greeter.word" in plan or "'word'" in plan
    changed = director.run("deploy", file).stdout
    assert "Updating instance other: other/" in changed
    assert "Updating instance greeter" not in changed
    now = instances(director, "one")
    assert {name: row["vm_cid"] for name, row in now.items() if name in first} == {
        name: row["vm_cid"] for name, row in first.items()
    }

    director.run("-d", "one", "ssh", "greeter", "-c", "echo kept | sudo tee /var/vcap/store/proof")
    director.run("-d", "one", "recreate", "greeter")
    recreated = instances(director, "one")
    for name, row in first.items():
        assert recreated[name]["ips"] == row["ips"]
        assert recreated[name]["disk_cids"] == row["disk_cids"]
        assert recreated[name]["vm_cid"] != row["vm_cid"]
    told = director.run("-d", "one", "ssh", "greeter", "-c", "cat /var/vcap/store/proof").stdout
    assert told.count("kept") == 2

    director.run("-d", "one", "delete-deployment")
    assert director.rows("instances") == []
    orphans = [row["disk_cid"] for row in director.rows("disks", "--orphaned")]
    assert sorted(orphans) == sorted(row["disk_cids"] for row in first.values())
    for cid in orphans:
        director.run("delete-disk", cid)
    assert director.rows("disks", "--orphaned") == []


def test_states(director: Any, tmp_path: Path) -> None:
    director.run("deploy", write(greeter("states"), tmp_path))
    before = instances(director, "states")
    one = sorted(before)[0]

    director.run("-d", "states", "stop", one)
    assert instances(director, "states")[one]["process_state"] == "stopped"
    director.run("-d", "states", "start", one)
    assert instances(director, "states")[one]["process_state"] == "running"

    director.run("-d", "states", "stop", one, "--hard")
    assert not instances(director, "states")[one].get("vm_cid")
    director.run("deploy", write(greeter("states"), tmp_path))
    assert not instances(director, "states")[one].get("vm_cid"), "a deploy must not start it"
    director.run("-d", "states", "start", one)
    row = instances(director, "states")[one]
    assert row["process_state"] == "running"
    assert row["ips"] == before[one]["ips"]

    director.run("-d", "states", "restart", one)
    director.run("-d", "states", "delete-deployment")


def test_a_resized_disk_keeps_its_data(director: Any, tmp_path: Path) -> None:
    director.run("deploy", write(greeter("disks", instances=1, persistent_disk=64), tmp_path))
    director.run("-d", "disks", "ssh", "greeter/0", "-c", "echo data | sudo tee /var/vcap/store/x")
    old = next(iter(instances(director, "disks").values()))["disk_cids"]
    director.run("deploy", write(greeter("disks", instances=1, persistent_disk=128), tmp_path))
    new = next(iter(instances(director, "disks").values()))["disk_cids"]
    assert new != old
    told = director.run("-d", "disks", "ssh", "greeter/0", "-c", "cat /var/vcap/store/x").stdout
    assert "data" in told
    assert old in [row["disk_cid"] for row in director.rows("disks", "--orphaned")]

    moved = greeter("disks", instances=1, persistent_disk=128)
    moved["instance_groups"][0].update(name="renamed", migrated_from=[{"name": "greeter"}])
    director.run("deploy", write(moved, tmp_path))
    row = next(iter(instances(director, "disks").values()))
    assert row["instance"].startswith("renamed/")
    assert row["disk_cids"] == new
    director.run("-d", "disks", "delete-deployment")
    for disk in director.rows("disks", "--orphaned"):
        director.run("delete-disk", disk["disk_cid"])
    assert director.rows("disks", "--orphaned") == []


def test_a_failed_canary_stops_and_the_corrected_deploy_goes_on(
    director: Any, tmp_path: Path
) -> None:
    director.run("deploy", write(greeter("canary", instances=3), tmp_path))
    before = instances(director, "canary")
    broken = greeter("canary", instances=3)
    # sshd listens on port 22 already: the process ends again and again.
    broken["instance_groups"][0]["jobs"][0]["properties"] = {"word": "x", "port": 22}
    broken["update"].update(canary_watch_time="100-4000", update_watch_time="100-4000")
    failed = director.run("deploy", write(broken, tmp_path), ok=False)
    assert failed.returncode == 1
    assert "greeter" in failed.stdout + failed.stderr
    after = instances(director, "canary")
    states = sorted(row["process_state"] for row in after.values())
    assert states.count("running") == 2, states
    director.run("deploy", write(greeter("canary", instances=3), tmp_path))
    assert {row["process_state"] for row in instances(director, "canary").values()} == {"running"}
    assert set(instances(director, "canary")) == set(before)
    director.run("-d", "canary", "delete-deployment")

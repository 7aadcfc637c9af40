"""What the commands tell of a real deployment, errands, and the flags of ``deploy``."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from diary_release import Diary

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module", autouse=True)
def dried(diary: Diary) -> None:
    """Whatever went before, two instances run."""
    assert [row["process_state"] for row in diary.instances()] == ["running"] * 2


def in_a_terminal(diary: Diary, *args: str, width: int = 80) -> list[str]:
    """Return the lines a command draws in a terminal, without its colors."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = [*diary.director.command, *args]
        env = {**diary.director.environment, "TERM": "xterm-256color", "COLUMNS": str(width)}
        os.execve(command[0], command, env)
    drawn = b""
    try:
        while chunk := os.read(terminal, 65536):
            drawn += chunk
    except OSError:
        pass  # The other end of a terminal that is closed says so.
    os.waitpid(pid, 0)
    os.close(terminal)
    # What is drawn over what was there before stands on a line of its own here.
    text = re.sub(r"\x1b\[(?:[0-9]*A|[0-9]*K)", "\n", drawn.decode())
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text).splitlines()


def test_listings(lab: Any, diary: Diary) -> None:
    first, second = diary.instances()
    assert [first["index"], first["bootstrap"], first["az"]] == ["0", "true", "z1"]
    assert [second["index"], second["bootstrap"], second["az"]] == ["1", "false", "z2"]
    assert first["disk_cids"].startswith("disk-")
    rows = diary.rows("instances", "--ps", "--vitals")
    assert [row["process"] for row in rows if row["process"]] == ["diary", "diary"]
    machine = rows[0]
    assert re.search(r"\d+% \(\d+i%\)", machine["persistent_disk_usage"])
    assert machine["memory_usage"].endswith("MB)")
    assert machine["uptime"].startswith("0d 0h"), "the machine's own, not this host's"
    (vm, _) = diary.rows("vms", "--vitals")
    assert vm["vm_cid"] == first["vm_cid"]
    assert vm["stemcell"].startswith("director-debian-12/")
    pipe = diary.run("instances").stdout.splitlines()
    assert pipe[0].split() == ["Instance", "Process", "State", "AZ", "IPs"]
    assert all(len(line.split()) == 4 for line in pipe[1:])

    assert {row["name"] for row in lab.rows("deployments")} >= {diary.name}
    assert yaml.safe_load(diary.run("manifest").stdout)["name"] == diary.name
    assert [row["name"] for row in diary.rows("variables")] == ["/director/diary/secret"]
    assert {row["name"] for row in diary.rows("errands")} == {"check", "checks"}
    assert lab.rows("locks") == []
    assert [row["name"] for row in lab.rows("environment")] == ["director"]
    assert lab.get("/info")["cpi"] == "local"
    refused = lab.run("curl", "/deployments/nope", ok=False)
    assert refused.returncode == 1
    assert "doesn't exist" in refused.stderr


def test_listings_in_a_terminal_of_80_columns(diary: Diary) -> None:
    name = diary.instances()[0]["instance"]
    for args in (["instances"], ["instances", "--ps"], ["vms"], ["instances", "--vitals"]):
        lines = in_a_terminal(diary, "-d", diary.name, *args)
        assert max(map(len, lines)) <= 80, "\n".join(lines)
        assert any(line.startswith(name[:14]) or name in line for line in lines)
    lines = in_a_terminal(diary, "-n", "deploy", str(diary.file()))
    # A path is as long as it is.
    drawn = [line for line in lines if str(diary.directory) not in line]
    assert max(map(len, drawn)) <= 80, "\n".join(lines)
    assert any("✓ Rendering templates" in line for line in lines)


def test_tasks_and_events(lab: Any, diary: Diary) -> None:
    diary.run("restart", "diary/0", "--skip-drain")
    task = lab.rows("tasks", "--recent=1")[0]
    assert (task["state"], task["deployment"], task["user"]) == ("done", diary.name, "root")
    events = lab.run("task", task["id"], "--event").stdout.splitlines()
    assert {json.loads(line)["stage"] for line in events} >= {"Updating instance"}
    assert "Updating instance diary" in lab.run("task", task["id"]).stdout
    deploys = [row for row in lab.rows("tasks", "-r=999") if row["deployment"] == diary.name]
    assert "create_vm" in lab.run("task", deploys[-1]["id"], "--debug").stdout
    assert "installing on root@" in lab.run("task", task["id"], "--debug").stdout
    assert lab.run("task", "999999", ok=False).returncode == 1
    listing = lab.rows("tasks", "--recent", "--all")[0]
    result = lab.run("task", listing["id"], "--result").stdout
    assert listing["state"] == "done", result

    told = lab.rows("events", "--task", task["id"])
    assert {(row["action"], row["object_type"]) for row in told} >= {("update", "instance")}
    name = diary.instances()[0]["instance"]
    mine = lab.rows("events", "--instance", name, "--action", "create", "--object-type", "vm")
    assert mine
    assert {row["deployment"] for row in mine} == {diary.name}


def test_errands(lab: Any, diary: Diary, tmp_path: Path) -> None:
    names = [row["instance"] for row in diary.instances()]
    told = diary.run("run-errand", "check", "--instance", "diary/0").stdout
    assert f"checked {names[0]}" in told
    assert names[1] not in told
    assert "Creating missing vms" not in told
    told = diary.run(
        "run-errand",
        "check",
        "--instance",
        "diary/first",
        "--download-logs",
        "--logs-dir",
        tmp_path,
    ).stdout
    assert f"checked {min(names)}" in told
    (tarball,) = tmp_path.iterdir()
    with tarfile.open(tarball) as opened:
        assert "check/check.log" in {name.removeprefix("./") for name in opened.getnames()}

    # A group of its own: a VM for the run only, kept where asked, none where nothing changed.
    vms = len(diary.rows("vms"))
    told = diary.run("run-errand", "checks", "--keep-alive").stdout
    assert "Creating missing vms" in told
    assert len(diary.rows("vms")) == vms + 1
    told = diary.run("run-errand", "checks").stdout
    assert "Creating missing vms" not in told
    assert len(diary.rows("vms")) == vms
    told = diary.run("run-errand", "checks", "--when-changed").stdout
    assert "skipped - no changes detected" in told
    assert "Creating missing vms" not in told
    refused = diary.run("run-errand", "nope", ok=False)
    assert "there are: 'check', 'checks'" in refused.stdout

    diary.job("check")["properties"] = {"exit_code": 3}
    diary.deploy("--skip-drain")
    failed = diary.run("run-errand", "check", "--instance", "diary/1", ok=False)
    assert failed.returncode == 1
    assert "exit code 3" in failed.stderr
    assert f"checked {names[1]}" in failed.stdout
    assert "a complaint" in failed.stdout
    assert lab.rows("tasks", "--recent=1")[0]["result"] == "0 succeeded, 1 errored, 0 canceled"
    del diary.job("check")["properties"]
    diary.deploy("--skip-drain")


def test_interpolate(lab: Any, tmp_path: Path) -> None:
    template = tmp_path / "t.yml"
    template.write_text(
        "a: ((x))\nb: {c: ((pw)), d: pre-((x))}\nvariables: [{name: pw, type: password}]\n"
    )
    ops = tmp_path / "o.yml"
    ops.write_text("- {type: replace, path: /b/e?, value: new}\n")
    store = tmp_path / "store.yml"
    told = lab.run("int", template, "-o", ops, "-v", "x=1", "--vars-store", store).stdout
    data = yaml.safe_load(told)
    assert data["a"] == 1
    assert data["b"] == {"c": yaml.safe_load(store.read_text())["pw"], "d": "pre-1", "e": "new"}
    assert store.stat().st_mode & 0o777 == 0o600
    assert lab.run("int", template, "-v", "x=1", "--path", "/b/d").stdout == "pre-1\n"
    assert lab.run("int", template, "--path", "/nope", ok=False).returncode == 1
    assert "x" in lab.run("int", template, "--var-errs", ok=False).stderr


def test_flags_of_deploy(diary: Diary, tmp_path: Path) -> None:
    """Variables from everywhere and an ops file reach the machines; amounts reach the plan."""
    job = diary.job("diary")
    job["properties"] = {"word": "((a))-((b))-((c))-((d))"}
    (tmp_path / "vars.yml").write_text("b: from-file\n")
    (tmp_path / "c.txt").write_text("from-text")
    (tmp_path / "ops.yml").write_text(
        "- {type: replace, path: /variables/-, value: {name: d, type: password}}\n"
        "- {type: replace, path: /instance_groups/name=diary/jobs/name=patient/properties/mood?,"
        " value: ((a))}\n"
    )
    store = tmp_path / "store.yml"
    flags: list[str | Path] = ["-o", tmp_path / "ops.yml", "-v", "a=from-flag"]
    flags += ["-l", tmp_path / "vars.yml", "--var-file", f"c={tmp_path / 'c.txt'}"]
    flags += ["--vars-store", store]
    told = diary.deploy(*flags, "--skip-drain", "--no-redact")
    generated = yaml.safe_load(store.read_text())["d"]
    assert f"from-flag-from-file-from-text-{generated}" in told, "asked not to redact"
    looked = diary.shell("diary", "sudo cat /var/vcap/jobs/diary/bin/ctl")
    assert looked.count(f"from-flag-from-file-from-text-{generated}") == 2
    assert "Updating instance" not in diary.deploy(*flags), "the store keeps what it generated"

    plan = diary.deploy(*flags, "--dry-run", "--recreate")
    assert "canaries 1, max in flight 2" in plan
    plan = diary.deploy(
        *flags, "--dry-run", "--recreate", "--canaries", "0", "--max-in-flight", "50%"
    )
    assert "canaries 0, max in flight 50%" in plan
    assert "canary" not in plan.split("\n", 1)[1]
    del job["properties"]
    told = diary.deploy("--skip-drain", "--canaries", "0", "--max-in-flight", "1")
    assert "(canary)" not in told
    assert generated not in told, "redacted unless asked"


def test_recreate_all_with_a_deploy(diary: Diary) -> None:
    before = diary.instances()
    told = diary.deploy("--recreate", "--skip-drain", "--max-in-flight", "2", "--canaries", "0")
    assert "skipped pre-stop & drain" in told
    after = diary.instances()
    kept = ("instance", "ips", "disk_cids", "process_state")
    assert [[row[key] for key in kept] for row in after] == [
        [row[key] for key in kept] for row in before
    ]
    assert not {row["vm_cid"] for row in after} & {row["vm_cid"] for row in before}


def test_nothing_of_a_secret_is_told(lab: Any, diary: Diary) -> None:
    """A generated password is on no command line, in no log, event, plan, or database row."""
    (secret,) = {
        line.split("word ")[1]
        for line in diary.run("run-errand", "checks").stdout.splitlines()
        if line.startswith("checked ")
    }
    assert len(secret) >= 20
    allowed = set((lab.home / "tasks").glob("*/result"))
    found = subprocess.run(
        ["grep", "-rlF", "--exclude-dir=local", secret, str(lab.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert {Path(line) for line in found.stdout.splitlines()} <= allowed

"""The quickstart's deployment: Redis compiled from source, replicated, with its data kept."""

from __future__ import annotations

import time
from typing import Any

import pytest
from samples import REPOSITORY

pytestmark = pytest.mark.machines

CLIENT = (
    'sudo sh -c "REDISCLI_AUTH=\\$(sed -n \\"s/^requirepass //p\\" '
    "/var/vcap/jobs/redis/config/redis.conf | tr -d '\\\\042') "
    '/var/vcap/packages/redis/bin/redis-cli %s"'
)


def on(director: Any, instance: str, command: str) -> str:
    """Return what a command prints on one instance."""
    told = director.run("-d", "redis", "ssh", instance, "-c", command).stdout
    return "\n".join(
        line.partition("stdout | ")[2] for line in told.splitlines() if "stdout | " in line
    )


def test_redis(director: Any) -> None:
    director.run("deploy", REPOSITORY / "manifests" / "redis.yml")
    rows = director.rows("-d", "redis", "instances", "--ps")
    processes = [row for row in rows if row["process"] == "redis"]
    assert [row["process_state"] for row in processes] == ["running"] * 3

    told = director.run("-d", "redis", "run-errand", "redis-smoke-test", "--instance", "redis/0")
    assert "every node shows what was written" in told.stdout

    assert on(director, "redis/0", CLIENT % "set kept safely") == "OK"
    # The password is in no command line of the machine.
    secret = on(
        director,
        "redis/0",
        "sudo sed -n 's/^requirepass //p' /var/vcap/jobs/redis/config/redis.conf",
    ).strip('"')
    assert len(secret) >= 20
    commands = on(director, "redis/0", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert secret not in commands

    killed = on(director, "redis/0", "pidof redis-server; sudo kill -9 $(pidof redis-server)")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        new = on(director, "redis/0", "pidof redis-server || true")
        if new and new != killed:
            break
    assert new, "monit did not bring redis back"

    director.run("-d", "redis", "recreate", "redis/0")
    assert on(director, "redis/0", CLIENT % "get kept") == "safely"
    director.run("-d", "redis", "run-errand", "redis-smoke-test", "--instance", "redis/2")
    director.run("-d", "redis", "delete-deployment")
    for disk in director.rows("disks", "--orphaned"):
        director.run("delete-disk", disk["disk_cid"])

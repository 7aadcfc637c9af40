"""A process is recognised by host, number and start; another with its number is not it."""

from __future__ import annotations

import os
import subprocess

import pytest

from director.store.owner import is_dead, is_local, this_process


def test_this_process_lives() -> None:
    me = this_process("a")
    assert not is_dead(me)
    assert is_local(me)
    assert me != this_process("b")


def test_a_killed_process_is_dead_before_it_is_reaped() -> None:
    host, pid, _, _ = this_process("a").rsplit(":", 3)
    child = subprocess.Popen(["sleep", "60"])
    with open(f"/proc/{child.pid}/stat") as stat:
        start = stat.read().rpartition(")")[2].split()[19]
    owner = f"{host}:{child.pid}:{start}:x"
    assert not is_dead(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(owner)
    child.wait()
    assert is_dead(owner)
    assert is_dead(f"{host}:{os.getpid()}:{start}0:x")
    assert pid == str(os.getpid())


@pytest.mark.parametrize("owner", ["elsewhere:1:1:x", "", "a:b", "::::", "host:x:y:z"])
def test_of_others_nothing_is_certain(owner: str) -> None:
    assert not is_dead(owner)
    assert not is_local(owner)

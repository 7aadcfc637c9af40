"""Where a disk is, by the hint a CPI gave: tried in a real shell, files in place of devices."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from director.machine import commands
from director.model.errors import MachineError

_FIND = commands._file("device") + 'wait_for_device "$1" && printf %s "$device"'


def find(hint: str, *, tries: int = 1) -> str:
    """Return what the hint means on this machine, or nothing."""
    done = subprocess.run(
        ["/bin/sh", "-c", _FIND, "find", hint],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "device_tries": str(tries)},
    )
    assert done.stderr == ""
    assert (done.returncode == 0) is bool(done.stdout)
    return done.stdout


@pytest.mark.parametrize(
    ("there", "hint", "found"),
    [
        pytest.param(["sdb"], "{d}/sdb", "sdb", id="one path"),
        pytest.param(["vdb", "sdb"], "{d}/xvdb {d}/sdb {d}/vdb", "sdb", id="the first that exists"),
        pytest.param(["nvme-vol0123"], "{d}/*vol0123 {d}/sdb", "nvme-vol0123", id="a star"),
        pytest.param(["sdb", "a-vol1"], "{d}/sdb {d}/*vol1", "sdb", id="a path before a star"),
        pytest.param(["v-part1", "v-part12", "v1"], "{d}/v*", "v1", id="the whole disk"),
        pytest.param(["v-part1"], "{d}/v*", "v-part1", id="else a partition"),
        pytest.param(["v-part1", "sdb"], "{d}/v* {d}/sdb", "sdb", id="a disk before a partition"),
        pytest.param(["v", "v-part1"], "{d}/v-part1", "v-part1", id="a partition that was named"),
        pytest.param([], "{d}/v* {d}/sdb", "", id="nothing"),
    ],
)
def test_a_hint_means_one_device(tmp_path: Path, there: list[str], hint: str, found: str) -> None:
    for name in there:
        (tmp_path / name).touch()
    assert find(hint.format(d=tmp_path)) == (f"{tmp_path}/{found}" if found else "")


def test_a_link_to_a_partition_is_a_partition(tmp_path: Path) -> None:
    partitions = [p.parent.name for p in Path("/sys/class/block").glob("*/partition")]
    if not partitions:
        pytest.skip("this host has no partition to look at")
    (tmp_path / "v1").symlink_to(f"/dev/{partitions[0]}")
    (tmp_path / "v2").touch()
    assert find(f"{tmp_path}/v*") == f"{tmp_path}/v2"


def test_a_device_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    late = tmp_path / "late"
    with subprocess.Popen(["/bin/sh", "-c", 'sleep 0.3; : >"$1"', "late", str(late)]):
        assert find(f"{tmp_path}/l*e", tries=100) == str(late)


@pytest.mark.parametrize(
    "hint",
    [
        "/dev/disk/by-id/*vol-0123 /dev/xvdf",
        "/dev/disk/by-id/virtio-b1c2* /dev/disk/by-id/scsi-*b1c2",
        "/dev/mapper/vg+data@1:2",
    ],
)
def test_hints_that_are_taken(hint: str) -> None:
    assert commands.disk_arguments(hint, "ext4", "")[0] == hint


@pytest.mark.parametrize(
    "hint",
    [
        "",
        "  ",
        "sdb",
        "/dev/sdb dev/sdc",
        "/dev/sdb /dev/../etc/shadow",
        "/dev/sd[b]",
        "/dev/sd?",
        "/dev/$(id)",
        "/dev/`id`",
        "/dev/sdb; id",
        "/dev/sdb\\",
        "/dev/sdb'",
        " ".join(["/dev/sdb"] * 17),
        "/dev/" + "b" * 500,
    ],
    ids=repr,
)
def test_hints_that_no_shell_sees(hint: str) -> None:
    with pytest.raises(MachineError, match="is not the path of a disk's device"):
        commands.disk_arguments(hint, "ext4", "")


def test_blanks_of_any_kind_become_one() -> None:
    assert commands.disk_arguments(" /dev/a \n\t/dev/b ", "xfs", "")[0] == "/dev/a /dev/b"


def test_the_boot_script_is_one_a_shell_can_read() -> None:
    text = commands.boot_script()
    assert text.startswith("#!/bin/sh\n")
    subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=True)

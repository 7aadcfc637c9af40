"""LXC's configuration of a machine, on hosts with cgroup v1, v2 and both."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpis.local.addresses import plan_cards
from cpis.local.cgroups import v1_controllers
from cpis.local.lxc import lxc_config
from cpis.local.properties import VmProperties
from cpis.local.runtime import Box, Device

V1 = """cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/devices cgroup rw,relatime,devices 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"
ONLY_DEVICES = "cgroup /sys/fs/cgroup/devices cgroup rw,devices 0 0\n" + V2


def settings(tmp_path: Path, mounts: str) -> list[str]:
    network = {"ip": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}
    box = Box(
        cid="vm-1",
        hostname="vm-1",
        directory=tmp_path,
        image=Path("/images/one"),
        cards=plan_cards("d", "vm-1", {"a": network}, str),
        limits=VmProperties(memory_mb=512, cpu=0.5),
        devices=(Device(name="disk-1", major=7, minor=3),),
    )
    return lxc_config(box, v1_controllers(mounts)).splitlines()


@pytest.mark.parametrize(
    ("mounts", "there", "missing"),
    [
        pytest.param(
            V1,
            [
                "lxc.cgroup.devices.deny = a",
                "lxc.cgroup.devices.allow = b 7:3 rwm",
                "lxc.cgroup.memory.limit_in_bytes = 536870912",
                "lxc.cgroup.cpu.cfs_quota_us = 50000",
            ],
            "lxc.cgroup2.",
            id="v1",
        ),
        pytest.param(
            V2,
            [
                "lxc.cgroup2.devices.deny = a",
                "lxc.cgroup2.devices.allow = b 7:3 rwm",
                "lxc.cgroup2.memory.max = 536870912",
                "lxc.cgroup2.cpu.max = 50000 100000",
            ],
            "lxc.cgroup.",
            id="v2",
        ),
        pytest.param(
            ONLY_DEVICES,
            ["lxc.cgroup.devices.deny = a", "lxc.cgroup2.memory.max = 536870912"],
            "lxc.cgroup2.devices",
            id="hybrid",
        ),
    ],
)
def test_limits(tmp_path: Path, mounts: str, there: list[str], missing: str) -> None:
    lines = settings(tmp_path, mounts)
    assert [line for line in there if line not in lines] == []
    assert [line for line in lines if line.startswith(missing)] == []


def test_network_and_root(tmp_path: Path) -> None:
    lines = settings(tmp_path, V2)
    for line in (
        f"lxc.rootfs.path = overlayfs:/images/one:{tmp_path}/upper",
        "lxc.net.0.ipv4.address = 10.0.0.5/24 10.0.0.255",
        "lxc.net.0.ipv4.gateway = 10.0.0.1",
        "lxc.init.cmd = /etc/director/init",
    ):
        assert line in lines
    assert "mknod" in (tmp_path / "devices.sh").read_text()

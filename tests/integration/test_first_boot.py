"""The first boot's search for the ephemeral disk, on loop devices that pose as a machine's disks.

The machine is a mount namespace with a /dev of its own: no disk of this host is in it. Whole
machines run the script in tests/clouds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.machines

SCRIPT = Path(__file__).parents[2] / "cpis" / "libcloud_base" / "first_boot.sh"
MIB = 1 << 20


class Disks:
    """Sparse files as loop devices, and a machine that has them under other names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loops: dict[str, str] = {}

    def add(self, name: str, size_mb: int = 100) -> str:
        """Give the machine a blank disk; returns the loop device."""
        image = self.directory / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(size_mb * MIB)
        made = subprocess.run(
            ["losetup", "--find", "--show", "--partscan", str(image)],
            check=True,
            capture_output=True,
            text=True,
        )
        self.loops[name] = made.stdout.strip()
        return self.loops[name]

    def release(self) -> None:
        for loop in self.loops.values():
            # Write protection would outlive the disk.
            subprocess.run(["blockdev", "--setrw", loop], check=True)
            subprocess.run(["losetup", "--detach", loop], check=True)

    def machine(self, call: str, *, swap_mb: str = "0", early: tuple[str, ...] = ()) -> str:
        """Run a function of the script in a new machine; returns what it printed.

        ``early`` are the disks that were there before anybody could log in: all, unless given.
        """
        nodes = "".join(f"cp -a {loop} {self.new}/{name}\n" for name, loop in self.loops.items())
        seen = " ".join(early or self.loops)
        functions = SCRIPT.read_text().partition("\ncase ${1-} in")[0]
        text = f"""
set -eu
mount --make-rprivate /
mkdir -p {self.new} {self.directory}/root
mount -t tmpfs tmpfs {self.new}
cp -a /dev/null /dev/zero {self.new}/
{nodes}
mount --move {self.new} /dev
swap_mb='{swap_mb}' toolchain=no
{functions}
vcap={self.directory}/root run={self.directory} own={self.directory}
printf '%s\\n' {seen} >$run/devices
fstab={self.directory}/fstab
: >>"$fstab"
mount --bind "$fstab" /etc/fstab
swapon() {{ echo "swapon $*"; }}
sfdisk() {{
  command sfdisk "$@" || return
  # A kernel that knows no partition tables takes partitions all the same.
  for disk; do :; done
  partx --update "$disk"
  for part in /sys/dev/block/7:*/loop*p*; do
    IFS=: read -r major minor <"$part/dev"
    mknod "/dev/vdb${{part##*p}}" b "$major" "$minor"
  done
}}
set -e
{call}
"""
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", text], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def new(self) -> Path:
        return self.directory / "dev"

    @property
    def fstab(self) -> str:
        return (self.directory / "fstab").read_text()


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    if os.geteuid() != 0:
        pytest.fail("loop devices need root")
    made = Disks(tmp_path)
    yield made
    made.release()


def test_the_blank_disk_becomes_the_data(disks: Disks) -> None:
    loop = disks.add("nvme1n1")
    told = disks.machine("ephemeral_disk; grep -o '^/dev/[^ ]* .*root/data ext4' /proc/mounts")
    assert "/dev/nvme1n1" in told
    uuid = subprocess.run(
        ["blkid", "-p", "-s", "UUID", "-o", "value", loop], capture_output=True, text=True
    ).stdout.strip()
    assert disks.fstab.startswith(f"UUID={uuid} ")
    assert "nofail" in disks.fstab
    assert "director-boot.service" in disks.fstab


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param("mkfs.ext4 -q {}", id="a file system"),
        pytest.param("mkswap {}", id="swap"),
        pytest.param("printf '\\125\\252' | dd of={} bs=1 seek=510", id="a partition table"),
        pytest.param("printf LABELONE | dd of={} bs=1 seek=512", id="a volume group"),
        pytest.param("echo data | dd of={} bs=1 seek=70000", id="data of somebody"),
        pytest.param("echo data | dd of={} bs=1 seek=104857500", id="data at its end"),
        pytest.param("blockdev --setro {}", id="write protection"),
    ],
)
def test_what_is_not_blank_is_left_alone(disks: Disks, spoil: str) -> None:
    loop = disks.add("vdb")
    subprocess.run(["sh", "-ec", spoil.format(loop)], check=True, capture_output=True)
    before = Path(loop).read_bytes()
    assert "no disk is blank" in disks.machine("ephemeral_disk")
    assert Path(loop).read_bytes() == before
    assert disks.fstab == ""


def test_a_disk_that_comes_later_is_not_the_ephemeral_one(disks: Disks) -> None:
    disks.add("vdb")
    assert disks.machine("blank_disk", early=("vda",)) == ""
    assert disks.machine("blank_disk") == "/dev/vdb\n"


def test_the_largest_of_several(disks: Disks) -> None:
    for name, size_mb in (("sdb", 80), ("sdc", 120), ("sdd", 100)):
        disks.add(name, size_mb)
    assert disks.machine("blank_disk") == "/dev/sdc\n"


@pytest.mark.parametrize(("inside", "used"), [("", True), ("somebodys", False)])
def test_openstacks_own_file_system(disks: Disks, inside: str, used: bool) -> None:
    loop = disks.add("vdb")
    (disks.directory / "tree").mkdir()
    if inside:
        (disks.directory / "tree" / inside).touch()
    tree = str(disks.directory / "tree")
    command = ["mkfs.ext4", "-q", "-L", "ephemeral0", "-d", tree, loop]
    subprocess.run(command, check=True)
    # blkid knows disks by the kernel's names.
    disks.loops[Path(loop).name] = disks.loops.pop("vdb")
    told = disks.machine("ephemeral_disk; cat /proc/mounts")
    assert (f"{loop} {disks.directory}/root/data ext4" in told) is used
    assert ("no disk is blank" in told) is not used


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="needs the package fdisk")
@pytest.mark.parametrize(("swap_mb", "made_mb"), [("30", 30), ("90", 50), ("", 50)])
def test_swap_and_data(disks: Disks, swap_mb: str, made_mb: int) -> None:
    loop = disks.add("vdb")
    told = disks.machine("ephemeral_disk; cat /proc/mounts", swap_mb=swap_mb)
    assert "swapon /dev/vdb1" in told
    assert f"/dev/vdb2 {disks.directory}/root/data ext4" in told
    size = Path("/sys/class/block", f"{Path(loop).name}p1", "size").read_text()
    assert int(size) * 512 == made_mb * MIB, "as wanted, at most half the disk"
    assert [line.split()[1] for line in disks.fstab.splitlines()] == [
        f"{disks.directory}/root/data",
        "none",
    ]

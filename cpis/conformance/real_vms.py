"""Checks that log into VMs, for CPIs whose VMs are real."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

from cpis.conformance.lab import DoesNotApply, Lab, NotConforming, require
from cpis.contract import Networks, NotImplementedByCpi, NotSupportedByCpi
from director.model.ids import DiskCid, VmCid

_FORMAT = "mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1,nodiscard"
_DEVICE_WAIT_S = 30


def lets_keys_in(lab: Lab) -> None:
    """root and vcap log in with the given key, and sshd shows the given host key."""
    _, networks = lab.vm()
    require(lab.run(networks, "id -un", user="vcap").strip() == "vcap", "vcap logs in")
    if not lab.cpi.info().host_keys:
        raise DoesNotApply("the CPI says that root may not log in and host keys are not given")
    require(lab.run(networks, "id -un").strip() == "root", "root logs in")


def isolates_vms(lab: Lab) -> None:
    """A VM has its own host name, processes and files, and reaches its neighbour."""
    _, first = lab.vm(0)
    _, second = lab.vm(1)
    names = {lab.run(n, "cat /proc/sys/kernel/hostname") for n in (first, second)}
    require(len(names) == 2, "host names differ")
    lab.run(first, "echo mine > /etc/only-here; sleep 4242 >/dev/null 2>&1 &")
    seen = lab.run(second, "ls /etc/only-here 2>&1; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    require("No such file" in seen, "files are each VM's own")
    require("4242" not in seen, "processes are each VM's own")
    banner = f"exec 3<>/dev/tcp/{_address(first)}/22; head -c 4 <&3"
    require(lab.run(second, f"bash -c '{banner}'") == "SSH-", "VMs of a network reach each other")


def keeps_files_over_a_reboot(lab: Lab) -> None:
    """Files, boot time and the attached disk's content are as expected after a reboot."""
    cid, networks = lab.vm()
    mount = _mounted(lab.cpi.attach_disk(cid, lab.disk()))
    lab.run(networks, mount("echo kept > /mnt/file && sync", fresh=True))
    lab.run(networks, "echo kept > /root/file; touch /run/gone")
    lab.cpi.reboot_vm(cid)
    _wait_for_reboot(lab, networks)
    there = lab.run(networks, f"cat /root/file; {mount('cat /mnt/file')}")
    require(there.split() == ["kept", "kept"], "the root and the disk keep their files")


def moves_disks_with_their_data(lab: Lab) -> None:
    """A disk is attached and detached while VMs run, and takes its data along."""
    first, networks = lab.vm(0)
    second, others = lab.vm(1)
    disk = lab.disk()
    hints = lab.cpi.attach_disk(first, disk)
    lab.run(networks, _mounted(hints)("echo moved > /mnt/file", fresh=True))
    lab.cpi.detach_disk(first, disk)
    gone = f"for d in {hints}; do [ -e $d ] && head -c 1 $d | wc -c; done; true"
    require(set(lab.run(networks, gone).split()) <= {"0"}, "a detached disk is out of reach")
    mount = _mounted(lab.cpi.attach_disk(second, disk))
    require(lab.run(others, mount("cat /mnt/file")).strip() == "moved", "its data came along")


def frees_disks_in_use(lab: Lab) -> None:
    """delete_vm of a VM that has its disk mounted leaves a disk another VM can mount at once."""
    first, networks = lab.vm(0)
    second, others = lab.vm(1)
    disk = lab.disk()
    in_use = _mounted(lab.cpi.attach_disk(first, disk), keep=True)
    lab.run(networks, in_use("echo x > /mnt/file && sync", fresh=True))
    lab.cpi.delete_vm(first)
    mount = _mounted(lab.cpi.attach_disk(second, disk))
    require(lab.run(others, mount("cat /mnt/file")).strip() == "x", "the data is there")


def gives_disks_their_size(lab: Lab) -> None:
    """A disk has at least the size asked for; grown, it has the new one and its data."""
    cid, networks = lab.vm()
    disk, size_mb = lab.disk(), lab.given.disk_mb
    require(_size_mb(lab, cid, disk, networks) >= size_mb, f"the disk has {size_mb} MiB")
    mount = _mounted(lab.cpi.attach_disk(cid, disk))
    lab.run(networks, mount("echo grown > /mnt/file", fresh=True))
    lab.cpi.detach_disk(cid, disk)
    try:
        lab.cpi.resize_disk(disk, size_mb * 2)
    except (NotSupportedByCpi, NotImplementedByCpi):
        return
    require(_size_mb(lab, cid, disk, networks) >= size_mb * 2, f"it grew to {size_mb * 2} MiB")
    mount = _mounted(lab.cpi.attach_disk(cid, disk))
    require(lab.run(networks, mount("cat /mnt/file")).strip() == "grown", "it keeps its data")


def reaps_orphans(lab: Lab) -> None:
    """A killed orphan is gone within a tenth of a second: supervisors wait for that."""
    _, networks = lab.vm()
    script = """
    (sh -c 'sleep 100 >/dev/null 2>&1 & echo $!') > /tmp/pid; pid=$(cat /tmp/pid); kill -9 $pid
    sleep 0.1; test -e /proc/$pid && echo zombie || echo reaped
    """
    require(lab.run(networks, script).strip() == "reaped", "the orphan is reaped")


def _address(networks: Networks) -> str:
    return str(next(iter(networks.values()))["ip"])


def _device(hints: str) -> str:
    """Return shell that waits for what attach_disk named and keeps its path in ``$dev``."""
    look = f'for d in {hints}; do [ -b $d ] && dev=$d && break; done; [ -n "$dev" ] && break'
    return (
        f"dev=; for i in $(seq {_DEVICE_WAIT_S * 10}); do {look}; sleep 0.1; done; "
        f'[ -n "$dev" ] || {{ echo no block device at {shlex.quote(hints)}; exit 1; }}'
    )


def _mounted(hints: str, *, keep: bool = False) -> Callable[..., str]:
    """Return what makes shell that runs a command while the disk is at /mnt, formatted if fresh."""

    def script(command: str, *, fresh: bool = False) -> str:
        steps = [_device(hints), *([f"{_FORMAT} $dev"] if fresh else []), "mount $dev /mnt"]
        end = "" if keep else "; umount /mnt"
        return " && ".join([f"{{ {steps[0]}; }}", *steps[1:], command]) + end

    return script


def _size_mb(lab: Lab, cid: VmCid, disk: DiskCid, networks: Networks) -> int:
    hints = lab.cpi.attach_disk(cid, disk)
    size = lab.run(networks, f"{_device(hints)}; blockdev --getsize64 $dev").strip()
    lab.cpi.detach_disk(cid, disk)
    require(size.isdigit(), f"the disk is at {hints}")
    return int(size) >> 20


def _wait_for_reboot(lab: Lab, networks: Networks) -> None:
    """Wait until the VM answers with an empty /run: a cloud may reboot it a while after it said."""
    deadline = time.monotonic() + lab.given.boot_timeout_s
    while True:
        try:
            if lab.run(networks, "ls /run/gone 2>/dev/null || echo fresh").strip() == "fresh":
                return
            cause: Exception | None = None
        except Exception as error:  # noqa: BLE001 -- whatever a connection that breaks raises
            cause = error
        if time.monotonic() > deadline:
            raise NotConforming(f"the VM did reboot: {cause or 'it never went down'}") from cause
        time.sleep(0.2)


CHECKS: tuple[Callable[[Lab], None], ...] = (
    lets_keys_in,
    isolates_vms,
    keeps_files_over_a_reboot,
    moves_disks_with_their_data,
    frees_disks_in_use,
    gives_disks_their_size,
    reaps_orphans,
)

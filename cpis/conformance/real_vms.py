"""Checks that log into VMs, for CPIs whose VMs are real."""

from __future__ import annotations

from collections.abc import Callable

from cpis.conformance.lab import Lab, require
from cpis.contract import Networks

_FORMAT = "mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1,nodiscard"


def lets_keys_in(lab: Lab) -> None:
    """root and vcap log in with the given key, and sshd shows the given host key."""
    _, networks = lab.vm()
    require(lab.run(networks, "id -un").strip() == "root", "root logs in")
    require(lab.run(networks, "id -un", user="vcap").strip() == "vcap", "vcap logs in")


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
    disk = lab.disk()
    path = lab.cpi.attach_disk(cid, disk)
    lab.run(networks, f"{_FORMAT} {path} && mount {path} /mnt && echo kept > /mnt/file && sync")
    lab.run(networks, "echo kept > /root/file; touch /run/gone")
    lab.cpi.reboot_vm(cid)
    there = lab.run(networks, f"cat /root/file; mount {path} /mnt && cat /mnt/file; umount /mnt")
    require(there.split() == ["kept", "kept"], "the root and the disk keep their files")
    require(not lab.run(networks, "ls /run/gone 2>/dev/null"), "the VM did reboot")


def moves_disks_with_their_data(lab: Lab) -> None:
    """A disk is attached and detached while VMs run, and takes its data along."""
    first, networks = lab.vm(0)
    second, others = lab.vm(1)
    disk = lab.disk()
    path = lab.cpi.attach_disk(first, disk)
    lab.run(
        networks, f"{_FORMAT} {path} && mount {path} /mnt && echo moved > /mnt/file; umount /mnt"
    )
    lab.cpi.detach_disk(first, disk)
    gone = lab.run(networks, f"test -e {path} && head -c 1 {path} | wc -c || echo none")
    require(gone.strip() in ("none", "0"), "a detached disk is out of reach")
    path = lab.cpi.attach_disk(second, disk)
    there = lab.run(others, f"mount {path} /mnt && cat /mnt/file; umount /mnt")
    require(there.strip() == "moved", "its data came along")


def frees_disks_in_use(lab: Lab) -> None:
    """delete_vm of a VM that has its disk mounted leaves a disk another VM can mount at once."""
    first, networks = lab.vm(0)
    second, others = lab.vm(1)
    disk = lab.disk()
    path = lab.cpi.attach_disk(first, disk)
    lab.run(networks, f"{_FORMAT} {path} && mount {path} /mnt && echo x > /mnt/file && sync")
    lab.cpi.delete_vm(first)
    path = lab.cpi.attach_disk(second, disk)
    there = lab.run(others, f"mount {path} /mnt && cat /mnt/file; umount /mnt")
    require(there.strip() == "x", "the data is there")


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


CHECKS: tuple[Callable[[Lab], None], ...] = (
    lets_keys_in,
    isolates_vms,
    keeps_files_over_a_reboot,
    moves_disks_with_their_data,
    frees_disks_in_use,
    reaps_orphans,
)

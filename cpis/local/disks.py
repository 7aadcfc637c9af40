"""Persistent disks: sparse files, given to machines as loop devices."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpis.contract import CloudDiskNotFound, CloudError, NoDiskSpace, NotSupportedByCpi
from cpis.local.processes import run
from cpis.local.runtime import Device
from cpis.local.state import is_alive, locked, process_start, read_json, remove_tree, write_json
from director.model.ids import DiskCid, SnapshotCid

_LOOP_MAJOR = 7
_RELEASE_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRecord:
    """What is kept of a disk; ``vm`` is the CID of the VM it is attached to."""

    size_mb: int
    token: str = ""
    vm: str | None = None
    metadata: Mapping[str, str]


class Disks:
    """The disks and snapshots of one director. Thread-safe, and safe beside other processes."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "disks"
        self._snapshots = root / "snapshots"
        self._locks = root / "locks"

    def create(self, cid: DiskCid, size_mb: int, token: str) -> None:
        """Make a blank disk; one with this CID that is there already stays."""
        if self.exists(cid):
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_half_made()
        free = os.statvfs(self._directory)
        if size_mb * 1024 * 1024 > free.f_bavail * free.f_frsize:
            raise NoDiskSpace(
                f"a disk of {size_mb} MiB is larger than the room left in '{self._directory}'",
                fix="free some, use a smaller disk type, or move the director's home",
            )
        begun = self._directory / f".new-{os.getpid()}-{process_start(os.getpid())}-{cid}"
        begun.mkdir(mode=0o700, exist_ok=True)
        with (begun / "image").open("wb") as image:
            image.truncate(size_mb * 1024 * 1024)
        write_json(begun / "disk.json", {"size_mb": size_mb, "token": token, "metadata": {}})
        # The rename is what makes the disk: before it there is none, after it it is whole.
        begun.rename(self._directory / cid)

    def lock(self, cid: DiskCid) -> AbstractContextManager[None]:
        """Hold a disk against everybody else."""
        return locked(self._locks / f"{cid}.lock")

    def exists(self, cid: DiskCid) -> bool:
        return (self._directory / cid / "disk.json").exists()

    def get(self, cid: DiskCid) -> DiskRecord:
        """Return a disk's record; raises CloudDiskNotFound."""
        data = read_json(self._directory / cid / "disk.json")
        if data is None or not _is_plain(cid):
            raise CloudDiskNotFound(f"there is no disk '{cid}'")
        return DiskRecord(**data)

    def save(self, cid: DiskCid, **changes: Any) -> None:
        """Change parts of a disk's record."""
        path = self._directory / cid / "disk.json"
        write_json(path, {**(read_json(path) or {}), **changes})

    def of_vm(self, vm: str) -> Sequence[DiskCid]:
        """Return the disks attached to a VM, in a stable order."""
        found = []
        for path in sorted(self._directory.glob("[!.]*/disk.json")):
            data = read_json(path)
            if data is not None and data.get("vm") == vm:
                found.append(DiskCid(path.parent.name))
        return found

    def all(self) -> Sequence[DiskCid]:
        return [DiskCid(path.name) for path in sorted(self._directory.glob("[!.]*"))]

    def open_device(self, cid: DiskCid) -> Device:
        """Return the disk's loop device, making it if there is none."""
        image = self._directory / cid / "image"
        number = _loop_of(image)
        if number is None:
            device = run(["losetup", "--find", "--show", str(image)]).strip()
            number = int(device.removeprefix("/dev/loop"))
        return Device(name=cid, major=_LOOP_MAJOR, minor=number)

    def device(self, cid: DiskCid) -> Device | None:
        """Return the disk's loop device, if it has one."""
        number = _loop_of(self._directory / cid / "image")
        return None if number is None else Device(name=cid, major=_LOOP_MAJOR, minor=number)

    def close_device(self, cid: DiskCid) -> None:
        """Let go of the loop device and wait until the kernel has: a dying machine may hold it."""
        image = self._directory / cid / "image"
        deadline = time.monotonic() + _RELEASE_TIMEOUT_S
        asked = False
        while (number := _loop_of(image)) is not None:
            if not asked:
                run(["losetup", "--detach", f"/dev/loop{number}"])
                asked = True
                continue
            if time.monotonic() > deadline:
                raise CloudError(
                    f"the disk '{cid}' is still in use as /dev/loop{number}", ok_to_retry=True
                )
            time.sleep(0.005)

    def resize(self, cid: DiskCid, size_mb: int) -> None:
        """Grow a disk; what runs on it sees the new size at once."""
        record = self.get(cid)
        if size_mb < record.size_mb:
            raise NotSupportedByCpi(
                f"the disk '{cid}' has {record.size_mb} MiB and cannot shrink to {size_mb}"
            )
        with (self._directory / cid / "image").open("r+b") as image:
            image.truncate(size_mb * 1024 * 1024)
        self.save(cid, size_mb=size_mb)
        device = self.device(cid)
        if device is not None:
            run(["losetup", "--set-capacity", f"/dev/loop{device.minor}"])

    def delete(self, cid: DiskCid) -> None:
        """Remove a disk and its file."""
        if not _is_plain(cid):
            return
        self.close_device(cid)
        remove_tree(self._directory / cid)
        (self._locks / f"{cid}.lock").unlink(missing_ok=True)

    def snapshot(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        """Copy a disk as it is now; shares its blocks where the filesystem can."""
        record = self.get(cid)
        self._snapshots.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshot = SnapshotCid(f"snapshot-{secrets.token_hex(8)}")
        device = self.device(cid)
        if device is not None:
            run(["blockdev", "--flushbufs", f"/dev/loop{device.minor}"])
        begun = self._snapshots / f".new-{os.getpid()}-{process_start(os.getpid())}-{snapshot}"
        begun.mkdir(mode=0o700)
        try:
            source = str(self._directory / cid / "image")
            copy = ["cp", "--reflink=auto", "--sparse=always", source, str(begun / "image")]
            run(copy, timeout_s=3600)
            data = {"disk": cid, "size_mb": record.size_mb, "metadata": dict(metadata)}
            write_json(begun / "snapshot.json", data)
            begun.rename(self._snapshots / snapshot)
        except BaseException:
            remove_tree(begun)
            raise
        return snapshot

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        """Remove a snapshot; one that is gone is no error."""
        if _is_plain(cid):
            remove_tree(self._snapshots / cid)

    def _remove_half_made(self) -> None:
        for directory in (self._directory, self._snapshots):
            for entry in directory.glob(".new-*"):
                pid, started = entry.name.split("-")[1:3]
                if not is_alive(int(pid), started):
                    remove_tree(entry)


def loop_devices_below(root: Path) -> list[int]:
    """Return the numbers of the loop devices whose files lie below ``root``."""
    listed = json.loads(run(["losetup", "--json", "--list", "--output", "NAME,BACK-FILE"]) or "{}")
    prefix = f"{root}/"
    return [
        int(entry["name"].removeprefix("/dev/loop"))
        for entry in listed.get("loopdevices", ())
        if str(entry["back-file"]).startswith(prefix)
    ]


def _loop_of(image: Path) -> int | None:
    wanted = str(image.resolve())
    for link in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = link.read_text().rstrip("\n")
        except OSError:
            continue
        if backing.removesuffix(" (deleted)") == wanted:
            return int(link.parent.parent.name.removeprefix("loop"))
    return None


def _is_plain(cid: str) -> bool:
    return bool(cid) and "/" not in cid and not cid.startswith(".")

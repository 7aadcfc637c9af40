"""Locks, atomic files and half-made disks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cpis.contract import CloudDiskNotFound, CloudError, NoDiskSpace
from cpis.local.disks import Disks
from cpis.local.leftovers import id_of_this_test_run
from cpis.local.state import is_alive, locked, process_start, read_json, write_json
from director.model.ids import DiskCid


def test_a_lock_holds_threads_apart_even_when_its_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside, most, guard = 0, 0, threading.Lock()

    def work(n: int) -> None:
        nonlocal inside, most
        with locked(path):
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1
            if n % 3 == 0:
                path.unlink(missing_ok=True)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(60)))
    assert most == 1


def test_a_lock_that_is_not_freed_is_reported(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(CloudError, match="another command holds"),
        locked(tmp_path / "lock", timeout_s=0),
    ):
        pass


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert read_json(path) is None
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_process_is_known_by_id_and_start() -> None:
    _, pid, started = id_of_this_test_run().split("-")
    assert is_alive(int(pid), started)
    assert not is_alive(int(pid), "1")
    assert process_start(2**22 + 1) == ""


def test_disks_are_whole_or_not_there(tmp_path: Path) -> None:
    disks = Disks(tmp_path)
    half = tmp_path / "disks" / ".new-4194304-7-disk-1"
    half.mkdir(parents=True)
    disks.create(DiskCid("disk-2"), 64, "token")
    assert disks.all() == ["disk-2"]
    assert not half.exists()
    image = tmp_path / "disks/disk-2/image"
    assert (image.stat().st_size, image.stat().st_blocks) == (64 * 1024 * 1024, 0)


def test_a_disk_larger_than_the_room_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoDiskSpace):
        Disks(tmp_path).create(DiskCid("disk-1"), 2**40, "")


@pytest.mark.parametrize("cid", ["../../etc", ".hidden", "", "a/b"])
def test_cids_do_not_leave_the_directory(tmp_path: Path, cid: str) -> None:
    disks = Disks(tmp_path)
    (tmp_path / "victim").mkdir()
    with pytest.raises(CloudDiskNotFound):
        disks.get(DiskCid(cid))
    disks.delete(DiskCid(cid))
    disks.delete_snapshot(cid)
    assert (tmp_path / "victim").is_dir()

"""The state directory: JSON files replaced atomically, locks that a crash frees, safe removal."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cpis.contract import CloudError

_POLL_S = 0.002


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace ``path`` by ``data``; a reader sees the old file or the new one, never a part."""
    written = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    written.write_text(json.dumps(data, sort_keys=True))
    written.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what :func:`write_json` wrote, or None where nothing is."""
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    data: dict[str, Any] = json.loads(text)
    return data


@contextmanager
def locked(path: Path, *, timeout_s: float = 120) -> Iterator[None]:
    """Hold the lock file ``path`` against all threads and processes of this host.

    The kernel frees it when the holder dies. Raises CloudError after ``timeout_s``.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout_s
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(handle, path, deadline)
            # Whoever removed the file between our open and our lock left us a lock on nothing.
            if not _is_still(handle, path):
                continue
            yield
            return
        finally:
            os.close(handle)


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it; nothing happens when it is not there."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)


def is_alive(pid: int, started: str) -> bool:
    """Tell whether the process that had this id and start time still runs."""
    return process_start(pid) == started


def process_start(pid: int) -> str:
    """Return a process's start time in ticks since boot, or nothing when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]


def filesystem_type(path: Path) -> str:
    """Return the type of the filesystem that holds ``path``, as /proc/self/mountinfo names it."""
    while not path.exists():
        path = path.parent
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.split()[0]
    return ""


def _flock(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CloudError(
                    f"another command holds '{path}'", ok_to_retry=True, fix="try again later"
                ) from None
            time.sleep(_POLL_S)
        else:
            return


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False

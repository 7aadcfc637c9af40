"""What tasks say while they run: append-only files, readable by their owner only."""

from __future__ import annotations

import os
from pathlib import Path

KINDS = ("event", "result", "debug", "cpi")
"""Progress lines, result lines, the developers' log, and the requests to the cloud."""

READ_LIMIT = 8 * 1024 * 1024
"""How many bytes one read returns at most; a client asks again from where it is."""


class Outputs:
    """The outputs of all tasks, under ``<root>/<task>/<kind>``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, task_id: int, kind: str) -> Path:
        """Return where the output stands; raises ValueError for a kind there is not."""
        if kind not in KINDS:
            raise ValueError(f"Unknown type {kind}")
        return self._root / str(int(task_id)) / kind

    def append(self, task_id: int, kind: str, text: str) -> None:
        """Write ``text`` at the end; lines of several threads never mix."""
        path = self.path(task_id, kind)
        data = text.encode("utf-8", "replace")
        descriptor = _open(path)
        try:
            # One write to a file opened for appending is not divided; a short one is a full disk.
            written = os.write(descriptor, data)
            if written < len(data):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(f"no space left to write output of task {task_id}")
        finally:
            os.close(descriptor)

    def size(self, task_id: int, kind: str) -> int | None:
        """Return the length in bytes, None where nothing was ever written."""
        try:
            return self.path(task_id, kind).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, task_id: int, kind: str, start: int = 0, length: int | None = None) -> bytes:
        """Return up to ``length`` bytes (:data:`READ_LIMIT` at most) from ``start``."""
        limit = READ_LIMIT if length is None else min(length, READ_LIMIT)
        try:
            with self.path(task_id, kind).open("rb") as file:
                file.seek(start)
                return file.read(limit)
        except FileNotFoundError:
            return b""


def _open(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, flags, 0o600)

"""A worker process: started in isolation, asked over pipes, bounded in time, killed by its pid."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

_MAX_RECORD = 16 * 1024 * 1024
_MAX_REPLY = 128 * 1024 * 1024
_START_S = 20.0
_END_S = 2.0
_SPACES = ("--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child")

_log = logging.getLogger(__name__)


class StartFailed(Exception):
    """The process ended, or did not get ready; the text is its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request yielded: complete records, and how it ended.

    ``ending`` is ``exit N`` or ``signal N`` of the child that rendered, ``timeout``, ``too much``
    or ``gone`` (the worker itself died). After the last three the worker is of no more use.
    """

    records: tuple[bytes, ...]
    ending: str


class _Ended(Exception):
    """Reading stopped: the text is a Reply's ``ending``."""


class Worker:
    """A started worker process; :meth:`ask` may be called by one thread at a time."""

    def __init__(self, process: subprocess.Popen[bytes], layers: frozenset[str]) -> None:
        self._process = process
        self._pending = b""
        self.layers = layers
        self.alive = True

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, payload: bytes, *, records: int, timeout_s: float, total_s: float) -> Reply:
        """Send ``payload`` and return the reply, which should have so many ``records``.

        Between two records no more than ``timeout_s`` may pass, and ``total_s`` in all; else the
        process is killed. Never raises for what the process does.
        """
        found: list[bytes] = []
        rest = bytearray()
        size = 0
        overall = time.monotonic() + total_s
        deadline = min(overall, time.monotonic() + timeout_s)
        try:
            self._send(b"%d %d\n%b" % (len(payload), max(1, round(total_s)), payload), deadline)
            while True:
                word, *fields = self._line(deadline).split()
                if word == b"end":
                    return Reply(records=tuple(found), ending=b" ".join(fields).decode())
                chunk = self._exactly(int(fields[0]), deadline)
                size += len(chunk)
                rest += chunk
                if b"\n" in chunk:
                    *complete, rest = rest.split(b"\n")
                    found.extend(map(bytes, complete))
                    deadline = min(overall, time.monotonic() + timeout_s)
                if len(found) == records:
                    deadline = min(deadline, time.monotonic() + _END_S)
                if size > _MAX_REPLY or len(rest) > _MAX_RECORD or len(found) > records:
                    raise _Ended("too much")
        except _Ended as ended:
            self.kill()
            return Reply(records=tuple(found), ending=str(ended))
        except (OSError, ValueError):
            self.kill()
            return Reply(records=tuple(found), ending="gone")

    def kill(self) -> None:
        """End the process now and wait for it; may be called again."""
        self.alive = False
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def read_ready(self) -> None:
        """Wait for the process to say it is ready; raises OSError or ValueError if it does not."""
        try:
            word, *layers = self._line(time.monotonic() + _START_S).decode().split()
        except _Ended as ended:
            raise OSError(str(ended)) from None
        if word != "ready":
            raise ValueError(word)
        self.layers = frozenset(layers)

    # -- pipes ----------------------------------------------------------------------------------

    def _send(self, data: bytes, deadline: float) -> None:
        assert self._process.stdin is not None
        left = memoryview(data)
        while left:
            self._wait(self._process.stdin, select.POLLOUT, deadline)
            left = left[os.write(self._process.stdin.fileno(), left) :]

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._pending:
            self._receive(deadline)
            if len(self._pending) > _MAX_RECORD:
                raise _Ended("too much")
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._pending) < size:
            self._receive(deadline)
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def _receive(self, deadline: float) -> None:
        assert self._process.stdout is not None
        self._wait(self._process.stdout, select.POLLIN, deadline)
        data = os.read(self._process.stdout.fileno(), 131072)
        if not data:
            raise _Ended("gone")
        self._pending += data

    @staticmethod
    def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe.fileno(), event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _Ended("timeout")


def start(command: Sequence[str], *, find: Callable[[str], str | None]) -> Worker:
    """Start ``command`` in the strongest isolation this host permits; raises StartFailed.

    Namespaces come from unshare(1), which ``find`` looks up; the process takes its other layers
    itself. Its environment is empty and its directory is one that no longer exists.
    """
    words = ""
    for prefix in _isolations(find("unshare")):
        try:
            worker = _start([*prefix, *command])
        except StartFailed as failed:
            words = str(failed)
            continue
        if "root" not in worker.layers:
            # Reading and writing are still ruled out by the limit of open files and by Landlock;
            # what needs no open file (a mode changed, a signal sent) then is not.
            _log.warning("templates are rendered without an empty root directory on this host")
        _log.debug("worker %s started with %s", worker.pid, [*prefix, *sorted(worker.layers)])
        return worker
    raise StartFailed(words)


def _isolations(unshare: str | None) -> list[list[str]]:
    if unshare is None:
        return [[]]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [[unshare, *user, *_SPACES], []]


def _start(command: list[str]) -> Worker:
    with tempfile.TemporaryFile() as words:
        # The worker makes its directory its root; as the directory is gone by the time it
        # renders, nothing can ever be in it.
        empty = tempfile.mkdtemp(prefix="director-render-")
        try:
            process = subprocess.Popen(
                command,
                bufsize=0,
                cwd=empty,
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                start_new_session=True,
            )
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            worker = Worker(process, frozenset())
            try:
                worker.read_ready()
            except (OSError, ValueError) as failed:
                worker.kill()
                words.seek(0)
                said = words.read(4096).decode(errors="replace").strip()
                raise StartFailed(said or str(failed)) from failed
        finally:
            os.rmdir(empty)
    return worker

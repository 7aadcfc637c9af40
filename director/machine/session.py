"""Running one command on a machine: input fed, output bounded, ended when the task is cancelled."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from director.model.errors import MachineUnreachable, TaskCancelled

if TYPE_CHECKING:
    from paramiko import Channel

KEPT_BYTES = 1024 * 1024
"""How much of an output is kept; the end is worth more than the beginning."""

_STALLED_S = 120.0
_KILL_S = 20.0


class Sink(Protocol):
    """Something bytes are written to."""

    def write(self, data: bytes, /) -> object: ...


class Tail:
    """Keeps the last ``limit`` bytes of what is written to it."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()

    def write(self, data: bytes, /) -> None:
        self._kept += data
        # Cutting at twice the limit, not at each write, keeps the cost linear.
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def value(self) -> bytes:
        return bytes(self._kept[-self._limit :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended. ``cancelled`` and ``timed_out``: it was told to end, and did so."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    cancelled: bool = False
    timed_out: bool = False

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """What it wrote to standard error, for people."""
        return self.stderr.decode(errors="replace").strip()


def run_on(
    channel: Channel,
    command: str,
    *,
    name: str,
    feed: Callable[[Sink], None] | None = None,
    sink: Sink | None = None,
    hold_input: bool = False,
    cancelled: Callable[[], bool],
    timeout_s: float | None = None,
    keep_bytes: int = KEPT_BYTES,
) -> Outcome:
    """Run ``command`` on ``channel`` and close the channel.

    ``feed`` writes the command's input; ``sink`` gets its output in place of the Outcome. With
    ``hold_input`` the input stays open as long as the command shall go on: closing it, which a
    lost connection does too, makes a supervised command end. It is closed when ``cancelled`` says
    so or ``timeout_s`` have passed; the Outcome tells which.

    Raises MachineUnreachable when the connection is lost before the command ended.
    """
    stdout: Sink = sink if sink is not None else Tail(keep_bytes)
    stderr = Tail(keep_bytes)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    try:
        _begin(channel, command, name)
        if feed is not None:
            _feed(channel, feed, cancelled)
        if not hold_input:
            channel.shutdown_write()
        stopped = _collect(
            channel,
            stdout,
            stderr,
            cancelled=cancelled if hold_input else _never,
            deadline=deadline,
        )
        code = _exit_code(channel, name)
    finally:
        channel.close()
    return Outcome(
        exit_code=code,
        stdout=stdout.value() if isinstance(stdout, Tail) else b"",
        stderr=stderr.value(),
        cancelled=stopped == "cancelled",
        timed_out=stopped == "timeout",
    )


def _never() -> bool:
    return False


def _begin(channel: Channel, command: str, name: str) -> None:
    import paramiko

    try:
        channel.settimeout(15)
        channel.exec_command(command)
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise MachineUnreachable(f"cannot reach {name}: connection lost") from error


class _Writer:
    def __init__(self, channel: Channel, cancelled: Callable[[], bool]) -> None:
        self._channel = channel
        self._cancelled = cancelled
        channel.settimeout(_STALLED_S)

    def write(self, data: bytes, /) -> int:
        if self._cancelled():
            raise TaskCancelled("stopped sending")
        self._channel.sendall(data)
        return len(data)


def _feed(channel: Channel, feed: Callable[[Sink], None], cancelled: Callable[[], bool]) -> None:
    # A command that ended early (a full disk) closes its input. What it had to say about that is
    # in its output and exit code, and worth more than this failure to write.
    try:
        feed(_Writer(channel, cancelled))
    except (EOFError, OSError):
        if not (channel.closed or channel.eof_received):
            raise


def _collect(
    channel: Channel,
    stdout: Sink,
    stderr: Sink,
    *,
    cancelled: Callable[[], bool],
    deadline: float | None,
) -> str:
    """Move output until the command closes it; returns why it was told to end, if it was."""
    stopped = ""
    poller = select.poll()
    poller.register(channel.fileno(), select.POLLIN)
    while True:
        ended = channel.eof_received or channel.closed
        moved = False
        if channel.recv_ready():
            stdout.write(channel.recv(1 << 18))
            moved = True
        if channel.recv_stderr_ready():
            stderr.write(channel.recv_stderr(1 << 18))
            moved = True
        if moved:
            continue
        if ended:
            return stopped
        if not stopped:
            stopped = _told_to_stop(cancelled, deadline)
            if stopped:
                channel.shutdown_write()
                deadline = time.monotonic() + _KILL_S
        elif deadline is not None and time.monotonic() > deadline:
            return stopped
        poller.poll(100)


def _told_to_stop(cancelled: Callable[[], bool], deadline: float | None) -> str:
    if cancelled():
        return "cancelled"
    return "timeout" if deadline is not None and time.monotonic() > deadline else ""


def _exit_code(channel: Channel, name: str) -> int:
    channel.status_event.wait(10)
    code = channel.exit_status
    if code >= 0:
        return code
    transport = channel.get_transport()
    if transport is None or not transport.is_active():
        raise MachineUnreachable(f"cannot reach {name}: connection lost while a command ran")
    # sshd tells of a signal in a message paramiko drops; a shell would have said 128 + 9.
    return 137

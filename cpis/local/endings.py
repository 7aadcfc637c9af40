"""Ending processes and noticing their end at once."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cpis.contract import CloudError

_STOP_TIMEOUT_S = 8.0
_KILL_TIMEOUT_S = 20.0
_REPEAT_S = 0.5


def end_machine(cid: str, init_pid: int, *, clean: bool) -> None:
    """End a machine by its first process; ``clean`` lets it end its own processes first.

    Returns when the process that watches over it, its parent, is gone too: by then nothing of the
    machine is left running. Raises CloudError when it does not end.
    """
    with watched([init_pid, parent_of(init_pid)]) as wait_for_end:
        # A first process that has not yet said how to take the signal never sees it: say it again.
        for _ in range(round(_STOP_TIMEOUT_S / _REPEAT_S) if clean else 0):
            signal_process(init_pid, signal.SIGTERM)
            if wait_for_end(_REPEAT_S):
                return
        signal_process(init_pid, signal.SIGKILL)
        if not wait_for_end(_KILL_TIMEOUT_S):
            raise CloudError(f"the machine '{cid}' does not end", ok_to_retry=True)


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[Callable[[float], bool]]:
    """Yield a function that waits some seconds for all processes' end and tells whether it came.

    The processes are fixed from now on: an id that is used again later is not mistaken for one.
    """
    handles: list[int] = []
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))

        def wait_for_end(timeout_s: float) -> bool:
            deadline = time.monotonic() + timeout_s
            for handle in handles:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([handle], [], [], left)[0]:
                    return False
            return True

        yield wait_for_end
    finally:
        for handle in handles:
            os.close(handle)


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; a process that is gone is no error."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def parent_of(pid: int) -> int:
    """Return the id of a process's parent, or the process's own when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return pid
    return int(stat.rpartition(")")[2].split()[1])

"""Which process owns a task or a lock, and whether it is still alive.

An owner is ``host:pid:start:token``: the start time tells a process from a later one that was given
the same number, the token one director from another in the same process.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process(token: str) -> str:
    """Return this process as an owner; ``token`` is any text of its own without colons."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_of(os.getpid())}:{token}"


def is_dead(owner: str) -> bool:
    """Tell whether the owning process is certainly gone.

    Of a process on another host nothing is certain; its lease or heartbeat tells.
    """
    parts = owner.rsplit(":", 3)
    if len(parts) != 4 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    return _start_of(int(parts[1])) != parts[2]


def is_local(owner: str) -> bool:
    """Tell whether the owner runs, or ran, on this host."""
    return owner.rsplit(":", 3)[0] == socket.gethostname()


def _start_of(pid: int) -> str | None:
    """Return when a process started, in ticks since the boot; None for none, or a dead one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in brackets and may hold anything, brackets and spaces too.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]

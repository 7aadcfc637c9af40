"""Turning what a machine's shell complains about into errors an operator can act on."""

from __future__ import annotations

import re
from typing import BinaryIO

from director.machine.session import Outcome, Sink
from director.model.errors import MachineError

_LINES = 12
_FULL = ("No space left on device", "Wrote only", "Disk quota exceeded")
_MONIT_LINE = re.compile(r"\S*/\d{4}_([^/\s]+?)\.monitrc:(\d+): (.*)")
_OUTPUT_LIMIT = 8 * 1024**3


def failure(name: str, doing: str, outcome: Outcome) -> MachineError:
    """Return the error for a command that ended badly while ``doing`` something on ``name``."""
    said = "\n".join(outcome.complaint.splitlines()[-_LINES:]) or (
        f"exit code {outcome.exit_code}, and nothing on standard error"
    )
    if any(sign in said for sign in _FULL):
        return MachineError(
            f"{doing} on {name} failed: its disk is full",
            fix="free space on the machine, or use a vm_type (or persistent disk) with more of it",
        )
    return MachineError(f"{doing} on {name} failed: {said}")


def monit_failure(name: str, complaint: str) -> MachineError:
    """Return the error for monit files that monit does not accept, naming the job and the line."""
    told = []
    for line in complaint.splitlines():
        found = _MONIT_LINE.search(line)
        told.append(f"job '{found[1]}', monit file, line {found[2]}: {found[3]}" if found else line)
    return MachineError(
        f"monit on {name} does not accept the jobs' monit files: {'; '.join(told[-_LINES:])}",
        fix="correct the job's monit file and deploy again; nothing was started",
    )


def bound_output(output: BinaryIO, what: str) -> Sink:
    """Return a sink that writes to ``output`` and raises MachineError beyond 8 GB."""
    return _Bounded(output, what)


class _Bounded:
    def __init__(self, output: BinaryIO, what: str) -> None:
        self._output = output
        self._what = what
        self._left = _OUTPUT_LIMIT

    def write(self, data: bytes, /) -> object:
        self._left -= len(data)
        if self._left < 0:
            raise MachineError(f"{self._what} is larger than {_OUTPUT_LIMIT // 1024**3} GB")
        return self._output.write(data)

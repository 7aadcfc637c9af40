"""The first boot of a plain cloud image: the first command on such a machine waits for its end.

The waiting is done in the machine, by what ``booted.sh`` puts in front of a command, so that one
that is long ready costs no extra round trip.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from director.machine.connection import Connection
from director.machine.session import Outcome
from director.model.errors import MachineError, TaskCancelled

LIMIT_S = 900.0
"""How long a first boot may go on: it may have packages to install."""

_GOES_ON, _FAILED = 73, 74
_LINES = 12


def run_once_booted(
    connection: Connection,
    command: str,
    *,
    doing: str,
    cancelled: Callable[[], bool],
    hold_input: bool = False,
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Run a command that ``booted.sh`` stands in front of, as soon as the first boot is over.

    Raises MachineError with the last lines of a first boot that failed, or that takes longer than
    ``limit_s``; TaskCancelled within seconds of ``cancelled``.
    """
    deadline = clock() + limit_s
    while True:
        outcome = connection.run(
            command, doing=doing, hold_input=hold_input, accept=(0, _GOES_ON, _FAILED)
        )
        if outcome.exit_code == 0:
            return outcome
        if outcome.exit_code == _FAILED:
            raise _failure(connection.name, outcome.complaint)
        if cancelled():
            raise TaskCancelled(f"stopped waiting for the first boot of {connection.name}")
        if clock() > deadline:
            raise _failure(connection.name, f"it still went on after {limit_s:g} s")


def _failure(name: str, said: str) -> MachineError:
    lines = "\n".join(said.splitlines()[-_LINES:]) or "it does not say why"
    return MachineError(
        f"the first boot of {name} failed: {lines}",
        fix="correct the image, or what it could not reach in the network, and deploy again",
    )

"""Root on machines that let only another user in: by sudo, prepared once per connection."""

from __future__ import annotations

import time
from collections.abc import Callable

from director.machine import commands
from director.machine.failures import failure
from director.machine.session import Outcome, Sink, run_on
from director.machine.transport import Transport
from director.model.errors import MachineError, TaskCancelled

LIMIT_S = 600.0
"""How long the agent of a BOSH stemcell may take to set a new machine up."""

_GOES_ON = 73
_DOING = "becoming root"


def become_root(
    transport: Transport,
    *,
    password: Callable[[], str],
    cancelled: Callable[[], bool],
    limit_s: float = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Make the connection's user one who becomes root by ``sudo -n``, and the machine the
    director's alone. Costs a round trip; does nothing for root.

    ``password`` is asked for where sudo wants one. It is sent once, on standard input; then a rule
    lets the user do without. Raises MachineError where sudo refuses, TaskCancelled.
    """
    if transport.user == "root":
        return
    deadline = clock() + limit_s
    while (outcome := _adopt(transport, password)).exit_code == _GOES_ON:
        if cancelled():
            raise TaskCancelled(f"stopped {_DOING} on {transport.name}")
        if clock() > deadline:
            raise MachineError(
                f"the agent on {transport.name} still sets the machine up after {limit_s:g} s",
                fix="read /var/vcap/bosh/log/current on the machine",
            )
    if outcome.exit_code != 0:
        raise failure(transport.name, _DOING, outcome)


def _adopt(transport: Transport, password: Callable[[], str]) -> Outcome:
    outcome = _run(transport, commands.as_root(commands.script("adopt", transport.user)))
    if _runs(outcome):
        return outcome
    command = commands.script("adopt", transport.user, "nopasswd")
    second = _run(transport, commands.as_root_by_password(command), password() + "\n")
    if not _runs(second):
        raise MachineError(
            f"user '{transport.user}' cannot become root on {transport.name}: "
            + _last_line(second.complaint or outcome.complaint),
            fix="let sudo ask for no password in the stemcell, or leave 'env.bosh.password' out, "
            "so that the director gives the user a password of its own",
        )
    return second


def _run(transport: Transport, command: str, text: str = "") -> Outcome:
    def feed(sink: Sink) -> None:
        sink.write(text.encode())

    return run_on(
        transport.open_session(),
        command,
        name=transport.name,
        feed=feed,
        cancelled=lambda: False,
        timeout_s=60,
    )


def _runs(outcome: Outcome) -> bool:
    """Whether the command ran as root; else it was sudo that said something."""
    return outcome.text.startswith("root\n")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["sudo says nothing"])[-1]

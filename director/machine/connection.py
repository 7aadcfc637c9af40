"""One machine's connection as long as it is needed: made late, made again, commands run over it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, TypeVar

from director.machine.commands import as_root
from director.machine.failures import failure
from director.machine.session import Outcome, Sink, run_on
from director.machine.transport import Transport
from director.model.errors import MachineError, MachineUnreachable, TaskCancelled

if TYPE_CHECKING:
    from paramiko import Channel

T = TypeVar("T")

_log = logging.getLogger(__name__)


class TookTooLong(MachineError):
    """A command with a time limit did not end within it."""

    code = 450004


class Connection:
    """A transport to one machine, made when first used and again when found dead."""

    def __init__(self, connect: Callable[[], Transport], cancelled: Callable[[], bool]) -> None:
        self._connect = connect
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._transport: Transport | None = None

    @property
    def name(self) -> str:
        """Where the machine is, as errors name it."""
        transport = self._transport
        return transport.name if transport is not None else "the machine"

    def open_tcp(self, port: int) -> Channel | None:
        """Open a stream to a port on the machine's loopback; None if nothing listens there."""
        return self._with_transport(lambda transport: transport.open_tcp(port))

    def run(
        self,
        command: str,
        *,
        doing: str,
        feed: Callable[[Sink], None] | None = None,
        sink: Sink | None = None,
        hold_input: bool = False,
        timeout_s: float | None = None,
        accept: Container[int] = (0,),
        keep_cancelled: bool = False,
    ) -> Outcome:
        """Run a command as root, as :func:`director.machine.session.run_on` does; ``doing`` names
        it.

        Raises MachineError for an exit code that is not in ``accept``, TookTooLong, and
        TaskCancelled unless ``keep_cancelled`` wants the Outcome then too.
        """
        channel, user = self._with_transport(lambda t: (t.open_session(), t.user))
        if user != "root":
            command = as_root(command)
        _log.debug("%s on %s", doing, self.name)
        outcome = run_on(
            channel,
            command,
            name=self.name,
            feed=feed,
            sink=sink,
            hold_input=hold_input,
            cancelled=self._cancelled,
            timeout_s=timeout_s,
        )
        if outcome.cancelled and not keep_cancelled:
            raise TaskCancelled(f"stopped {doing} on {self.name}")
        if outcome.timed_out:
            raise TookTooLong(f"{doing} on {self.name} did not end within {timeout_s:g} s")
        if outcome.exit_code not in accept:
            raise failure(self.name, doing, outcome)
        return outcome

    def close(self) -> None:
        """End the connection; the next command makes one again."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def _with_transport(self, open_channel: Callable[[Transport], T]) -> T:
        """Open a channel; on a connection that turned out dead, once more on a new one."""
        transport = self._live_transport()
        try:
            return open_channel(transport)
        except MachineUnreachable:
            return open_channel(self._live_transport())

    def _live_transport(self) -> Transport:
        with self._lock:
            if self._transport is None or not self._transport.alive:
                if self._transport is not None:
                    self._transport.close()
                self._transport = None
                self._transport = self._connect()
            return self._transport

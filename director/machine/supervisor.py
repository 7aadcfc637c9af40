"""monit, as the director sees it: over its HTTP interface on the machine's loopback."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from xml.etree import ElementTree

from director.machine.contract import Process
from director.model.errors import MachineError

if TYPE_CHECKING:
    from paramiko import Channel

MONIT_PORT = 2822
GROUP = "vcap"
_LIMIT = 4 * 1024 * 1024

_STOPPING = frozenset({3, 5})
"""monit's numbers for the pending actions stop and unmonitor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process in monit's ``vcap`` group."""

    name: str
    monitored: int
    status: int
    pending: int
    uptime_s: int | None = None
    memory_kb: int | None = None
    memory_percent: float | None = None
    cpu_percent: float | None = None

    @property
    def state(self) -> str:
        """BOSH's word for it: running, starting, failing or stopped."""
        if self.pending and self.pending not in _STOPPING:
            return "starting"
        if self.monitored == 0:
            return "stopped"
        if self.monitored != 1:
            return "starting"
        return "running" if self.status == 0 else "failing"

    @property
    def settled(self) -> bool:
        """Whether monit is done with what it was told to do to it."""
        return self.pending == 0 and self.monitored in (0, 1)

    def as_process(self) -> Process:
        """Return it as the machine's contract has it."""
        return Process(
            name=self.name,
            state=self.state,
            uptime_s=self.uptime_s,
            memory_kb=self.memory_kb,
            memory_percent=self.memory_percent,
            cpu_percent=self.cpu_percent,
        )


def job_state(services: Iterable[Service]) -> str:
    """Return one word for all: starting if one starts, failing if one does not run."""
    states = {service.state for service in services}
    if "starting" in states:
        return "starting"
    return "running" if states <= {"running"} else "failing"


class Supervisor:
    """monit on one machine. ``open_tcp`` opens a stream to a loopback port there, or returns None
    where nothing listens; ``credentials`` are monit's own (``user:password``)."""

    def __init__(self, open_tcp: Callable[[int], Channel | None], credentials: str) -> None:
        self._open_tcp = open_tcp
        self._basic = base64.b64encode(credentials.encode()).decode()

    def services(self) -> tuple[Service, ...] | None:
        """Return the supervised processes; None where monit does not run (or not yet)."""
        answer = self._ask("GET", "/_status2?format=xml", "")
        return None if answer is None else parse_status(answer)

    def act(self, action: str, services: Iterable[Service]) -> None:
        """Tell monit to start, stop or unmonitor ``services``; it does so after this returned."""
        names = [("service", service.name) for service in services]
        if names and self._ask("POST", "/_doaction", [("action", action), *names]) is None:
            raise MachineError("monit does not run on the machine")

    def wake(self) -> None:
        """Have monit look at its processes now, not at the end of its cycle."""
        self._ask("POST", "/_runtime", [("action", "validate")])

    def _ask(self, method: str, path: str, form: str | list[tuple[str, str]]) -> bytes | None:
        channel = self._open_tcp(MONIT_PORT)
        if channel is None:
            return None
        # monit wants the same token as cookie and as parameter, against forged browser requests.
        token = secrets.token_hex(16)
        body = urlencode([*form, ("securitytoken", token)]) if not isinstance(form, str) else ""
        request = (
            f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic {self._basic}\r\n"
            f"Cookie: securitytoken={token}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        try:
            channel.settimeout(10)
            channel.sendall(request.encode())
            return _body_of(_read_all(channel))
        except (EOFError, OSError) as error:
            raise MachineError(f"monit does not answer: {error or 'timeout'}") from error
        finally:
            channel.close()


def _read_all(channel: Channel) -> bytes:
    answer = bytearray()
    while chunk := channel.recv(1 << 16):
        answer += chunk
        if len(answer) > _LIMIT:
            raise MachineError("monit's answer is larger than 4 MB")
    return bytes(answer)


def _body_of(answer: bytes) -> bytes | None:
    if not answer:
        # monit accepts connections a moment before and after it answers them.
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode(errors="replace")
    words = status.split()
    if len(words) < 2 or words[1] not in ("200", "302"):
        raise MachineError(f"monit refuses a request: {status}")
    return body


def parse_status(text: bytes) -> tuple[Service, ...]:
    """Return the services of the ``vcap`` group in monit's status document (format 2).

    Raises MachineError for what is not such a document. One that declares anything is refused:
    monit never does, and entities are how a small document becomes a large one.
    """
    if b"<!" in text:
        raise MachineError("monit's status holds a declaration")
    try:
        # Its bytes are bounded and nothing is declared, so nothing can expand.
        root = ElementTree.fromstring(text)  # noqa: S314
        members = {
            member.text
            for group in root.iterfind("servicegroups/servicegroup")
            if group.get("name") == GROUP
            for member in group.iterfind("service")
        }
        return tuple(
            _service(element)
            for element in root.iterfind("services/service")
            if element.get("name") in members
        )
    except (ElementTree.ParseError, ValueError, binascii.Error) as error:
        raise MachineError(f"monit's status cannot be read: {error}") from error


def _service(element: ElementTree.Element) -> Service:
    def number(path: str) -> int | None:
        text = element.findtext(path)
        return int(text) if text is not None else None

    def fraction(path: str) -> float | None:
        text = element.findtext(path)
        return float(text) if text is not None else None

    return Service(
        name=element.get("name", ""),
        monitored=number("monitor") or 0,
        status=number("status") or 0,
        pending=number("pendingaction") or 0,
        uptime_s=number("uptime"),
        memory_kb=number("memory/kilobytetotal"),
        memory_percent=fraction("memory/percenttotal"),
        cpu_percent=fraction("cpu/percenttotal"),
    )

"""monit's status, read and judged, and watching by it."""

from __future__ import annotations

from typing import Any

import pytest

from director.machine.supervisor import Service, Supervisor, job_state, parse_status
from director.machine.watch import watch_start
from director.model.amounts import WatchTime
from director.model.errors import InstanceNotRunning, MachineError, TaskCancelled

RUNNING = Service(name="a", monitored=1, status=0, pending=0)
STARTING = Service(name="a", monitored=2, status=512, pending=0)
FAILING = Service(name="a", monitored=1, status=512, pending=0)
STOPPED = Service(name="a", monitored=0, status=0, pending=0)
TOLD = Service(name="a", monitored=0, status=0, pending=6)


def document(services: str, members: str = "<service>redis</service>") -> bytes:
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?><monit><services>'
        f"{services}</services><servicegroups><servicegroup name='vcap'>{members}"
        "</servicegroup></servicegroups></monit>"
    ).encode()


def service(name: str = "redis", status: int = 0) -> str:
    return (
        f'<service name="{name}"><type>3</type><status>{status}</status><monitor>1</monitor>'
        "<pendingaction>0</pendingaction><uptime>7</uptime><memory><percenttotal>1.5</percenttotal>"
        "<kilobytetotal>2048</kilobytetotal></memory><cpu><percenttotal>0.5</percenttotal></cpu>"
        "</service>"
    )


def test_only_members_of_the_group_count() -> None:
    (found,) = parse_status(document(service() + service("other", 512)))
    assert found == Service(
        name="redis",
        monitored=1,
        status=0,
        pending=0,
        uptime_s=7,
        memory_kb=2048,
        memory_percent=1.5,
        cpu_percent=0.5,
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<monit>",
        b"not xml",
        b'<!DOCTYPE a [<!ENTITY b "b">]><monit>&b;</monit>',
        document(service().replace("<uptime>7", "<uptime>x")),
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(MachineError):
        parse_status(text)


@pytest.mark.parametrize(
    ("services", "word"),
    [
        ([], "running"),
        ([RUNNING], "running"),
        ([RUNNING, STARTING], "starting"),
        ([FAILING, STARTING], "starting"),
        ([RUNNING, FAILING], "failing"),
        ([STOPPED], "failing"),
        ([TOLD], "starting"),
    ],
)
def test_one_word_for_all(services: list[Service], word: str) -> None:
    assert job_state(services) == word


class _Channel:
    def __init__(self, answer: bytes) -> None:
        self.sent = b""
        self._answer = [answer, b""]

    def settimeout(self, _: float) -> None: ...
    def close(self) -> None: ...

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, _: int) -> bytes:
        return self._answer.pop(0)


def supervisor(answer: bytes) -> tuple[Supervisor, _Channel]:
    channel: Any = _Channel(answer)
    return Supervisor(lambda _: channel, "director:hush"), channel


def test_actions_carry_names_and_a_token() -> None:
    monit, channel = supervisor(b"HTTP/1.0 302 Moved\r\n\r\n")
    monit.act("stop", [Service(name="a&b", monitored=1, status=0, pending=0)])
    head, _, body = channel.sent.partition(b"\r\n\r\n")
    assert body.startswith(b"action=stop&service=a%26b&securitytoken=")
    assert f"Content-Length: {len(body)}".encode() in head


def test_no_monit_is_none_and_a_refusal_an_error() -> None:
    assert Supervisor(lambda _: None, "u:p").services() is None
    assert supervisor(b"")[0].services() is None
    with pytest.raises(MachineError, match="401"):
        supervisor(b"HTTP/1.0 401 Unauthorized\r\n\r\n")[0].services()


class _Script:
    """Stands for a Supervisor: shows one status after another, and counts."""

    def __init__(self, *shown: list[Service] | None) -> None:
        self._shown = list(shown)
        self.wakes = 0

    def services(self) -> list[Service] | None:
        return self._shown.pop(0) if len(self._shown) > 1 else self._shown[0]

    def wake(self) -> None:
        self.wakes += 1


class _Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def watched(shown: _Script, watch: WatchTime, cancelled: bool = False) -> float:
    clock = _Clock()
    any_script: Any = shown
    watch_start(any_script, watch, cancelled=lambda: cancelled, clock=clock, sleep=clock.sleep)
    return clock.time


def test_watching_ends_as_soon_as_all_run() -> None:
    assert watched(_Script(None, [STARTING], [RUNNING]), WatchTime(0, 60_000)) < 0.1


def test_watching_ends_no_sooner_than_the_minimum() -> None:
    assert watched(_Script([RUNNING]), WatchTime(5_000, 60_000)) == pytest.approx(5)


def test_a_watch_time_of_one_number_is_one_look() -> None:
    with pytest.raises(InstanceNotRunning):
        watched(_Script([STARTING], [RUNNING]), WatchTime(3_000, 3_000))
    assert watched(_Script([RUNNING]), WatchTime(3_000, 3_000)) == pytest.approx(3)


def test_what_does_not_run_in_time_is_named() -> None:
    with pytest.raises(InstanceNotRunning, match=r"after 2 s: 'a' \(failing\)"):
        watched(_Script([FAILING]), WatchTime(0, 2_000))


def test_monit_is_woken_when_it_is_done_and_not_too_often() -> None:
    starting, failing = _Script([STARTING], [STARTING], [RUNNING]), _Script([FAILING])
    watched(starting, WatchTime(0, 9_000))
    with pytest.raises(InstanceNotRunning):
        watched(failing, WatchTime(0, 60_000))
    assert (starting.wakes, failing.wakes) == (0, 8)


def test_watching_can_be_cancelled() -> None:
    with pytest.raises(TaskCancelled):
        watched(_Script([STARTING]), WatchTime(0, 9_000), cancelled=True)

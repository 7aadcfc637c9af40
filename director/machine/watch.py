"""Watching jobs come up within a watch time."""

from __future__ import annotations

import time
from collections.abc import Callable

from director.machine.supervisor import Service, Supervisor, job_state
from director.model.amounts import WatchTime
from director.model.errors import InstanceNotRunning, TaskCancelled

_FIRST_PAUSE_S = 0.02
_LAST_PAUSE_S = 0.5
_WAKES = 8


def watch_start(
    supervisor: Supervisor,
    watch: WatchTime,
    *,
    cancelled: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once all processes run: at the earliest after the watch time's minimum, then looking
    often until its maximum.

    A watch time that is one number is one look after it, as in BOSH. Raises InstanceNotRunning
    naming what does not run, TaskCancelled when ``cancelled`` says so.
    """
    begin = clock()
    earliest, deadline = begin + watch.minimum_ms / 1000, begin + watch.maximum_ms / 1000
    _pause(earliest - 0.1, cancelled, clock, sleep)
    if earliest > begin:
        # So that the first look, which may be the only one, is not at what was a cycle ago.
        supervisor.wake()
    _pause(earliest, cancelled, clock, sleep)
    pause, wakes = _FIRST_PAUSE_S, 0
    while True:
        services = supervisor.services()
        if services is not None and job_state(services) == "running":
            return
        if clock() >= deadline:
            raise _not_running(services, watch)
        # monit notices that a process it started runs only when it looks again, a cycle later.
        # Not more often than this: it cuts short monit's wait for a process that starts slowly.
        if services and wakes < _WAKES and all(s.settled for s in services):
            supervisor.wake()
            wakes += 1
        _pause(min(clock() + pause, deadline), cancelled, clock, sleep)
        pause = min(pause * 1.3, _LAST_PAUSE_S)


def _pause(
    until: float,
    cancelled: Callable[[], bool],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    while (left := until - clock()) > 0:
        if cancelled():
            raise TaskCancelled("stopped watching jobs start")
        sleep(min(left, 0.1))


def _not_running(services: tuple[Service, ...] | None, watch: WatchTime) -> InstanceNotRunning:
    fix = "read the jobs' logs (director logs), correct them, and deploy again"
    if services is None:
        return InstanceNotRunning("monit does not run on the machine", fix=fix)
    waiting = ", ".join(f"'{s.name}' ({s.state})" for s in services if s.state != "running")
    return InstanceNotRunning(
        f"not all processes run after {watch.maximum_ms / 1000:g} s: {waiting}", fix=fix
    )

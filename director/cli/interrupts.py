"""Ctrl-C while a task is followed: the first asks the task to stop, the second leaves at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

LEFT_EXIT_CODE = 130


class LeaveNow(KeyboardInterrupt):
    """The operator wants out, whatever still runs."""


class Interrupts:
    """Counts Ctrl-C between enter and exit; the second raises LeaveNow wherever the program is."""

    def __init__(self) -> None:
        self.count = 0
        self._pressed = threading.Event()
        self._before: signal.Handlers | int | object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Wait, but not on after a Ctrl-C."""
        if self._pressed.wait(seconds):
            self._pressed.clear()

    def press(self) -> None:
        """Count one Ctrl-C."""
        self.count += 1
        self._pressed.set()
        if self.count > 1:
            raise LeaveNow

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.press()


class Cleaning:
    """What a Ctrl-C (or SIGTERM) does to work that removes what it made.

    The first ends the work with KeyboardInterrupt and lets it clean up; the second is answered;
    the third leaves at once, after ``parting`` has been said.
    """

    def __init__(self, say: Callable[[str], None], parting: str) -> None:
        self._say = say
        self._parting = parting
        self._count = 0
        self._before: dict[int, signal.Handlers | int | object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count == 1:
            self._say("Stopping: removing what was made")
            raise KeyboardInterrupt
        if self._count == 2:
            self._say("Still removing what was made; press Ctrl-C once more to leave it behind")
            return
        self._say(self._parting)
        raise LeaveNow

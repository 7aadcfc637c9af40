"""Ctrl-C while a task is followed: the first asks the task to stop, the second leaves at once."""

from __future__ import annotations

import signal
import threading
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

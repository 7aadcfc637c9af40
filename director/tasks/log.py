"""The developers' log of each task, in its ``debug`` output.

Which task a record belongs to is known from the context it was made in. Threads that work for a
task must run in its context; :class:`ContextPool` sees to that.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from director.execute.hidden import hidden_values
from director.store.outputs import Outputs

P = ParamSpec("P")
T = TypeVar("T")

current_task: contextvars.ContextVar[int | None] = contextvars.ContextVar("task", default=None)
"""The number of the task the running code works for."""

FORMAT = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s [%(threadName)s] %(message)s"
DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"
CPI_LOGGER = "director.cpi"
"""What is logged under this name stands in the task's ``cpi`` output too, and what CPIs log."""


class SafeFormatter(logging.Formatter):
    """Writes a record as one line or several, without what the current task hides."""

    def __init__(self) -> None:
        super().__init__(FORMAT, DATE_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        # Requests come as JSON that hides its values already, and stays JSON.
        return text if record.name == CPI_LOGGER else hidden_values().from_text(text)


class TaskLog(logging.Handler):
    """Writes each record to the debug output of the task it belongs to, if it belongs to one."""

    def __init__(self, outputs: Outputs) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(SafeFormatter())
        self._outputs = outputs

    def emit(self, record: logging.LogRecord) -> None:
        task = current_task.get()
        if task is None:
            return
        try:
            line = self.format(record) + "\n"
            self._outputs.append(task, "debug", line)
            if record.name == CPI_LOGGER or record.name.startswith("cpis."):
                self._outputs.append(task, "cpi", line)
        except OSError:
            # A full disk must not fail a task at its log; what matters fails by itself.
            return


class ContextPool(ThreadPoolExecutor):
    """A thread pool whose work runs in the context, and so for the task, of whoever submits it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        context: Any = contextvars.copy_context()
        return super().submit(context.run, fn, *args, **kwargs)

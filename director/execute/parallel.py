"""Run many things at once, never more than a given width, and stop handing out after a failure."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, wait
from typing import TypeVar

from director.model.errors import DirectorError, TaskCancelled, raise_all

Item = TypeVar("Item")
NewPool = Callable[[int], Executor]


def run_parallel(
    new_pool: NewPool,
    items: Iterable[Item],
    work: Callable[[Item], object],
    *,
    width: int,
    checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Call ``work`` for every item, at most ``width`` at once, in the order of ``items``.

    After a failure nothing new begins; what has begun is waited for, then everything that failed
    is raised: the error itself, or one list of all. ``checkpoint`` is called before each item and
    may raise to stop in the same way. Calling with no items starts no thread.
    """
    queue = list(items)
    if not queue:
        return
    if len(queue) == 1 or width <= 1:
        for item in queue:
            checkpoint()
            work(item)
        return
    pending = iter(queue)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def take() -> tuple[Item] | None:
        with lock:
            if failures:
                return None
            for item in pending:
                return (item,)
            return None

    def loop() -> None:
        while (taken := take()) is not None:
            try:
                checkpoint()
                work(taken[0])
            except BaseException as error:  # noqa: BLE001  # re-raised below, by the caller's thread
                with lock:
                    failures.append(error)

    with new_pool(min(width, len(queue))) as pool:
        wait(
            [
                pool.submit(contextvars.copy_context().run, loop)
                for _ in range(min(width, len(queue)))
            ]
        )
    _raise(failures)


def _raise(failures: list[BaseException]) -> None:
    for failure in failures:
        if not isinstance(failure, DirectorError):
            raise failure
    told = [f for f in failures if isinstance(f, DirectorError)]
    raise_all([f for f in told if not isinstance(f, TaskCancelled)] or told[:1])

"""run_parallel: the width is never exceeded, a failure stops what has not begun."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from director.execute.parallel import run_parallel
from director.model.errors import ErrorList, MachineError, TaskCancelled


def test_never_more_than_width_at_once():
    lock, now, most = threading.Lock(), 0, 0
    gate = threading.Barrier(3)

    def work(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(10)
        with lock:
            now -= 1

    run_parallel(ThreadPoolExecutor, range(9), work, width=3)
    assert (most, now) == (3, 0)


def test_nothing_begins_after_a_failure():
    begun: list[int] = []

    def work(n: int) -> None:
        begun.append(n)
        if n == 2:
            raise MachineError("third")

    with pytest.raises(MachineError, match="third"):
        run_parallel(ThreadPoolExecutor, range(100), work, width=1)
    assert begun == [0, 1, 2]


def test_all_failures_are_told():
    gate = threading.Barrier(2)

    def work(n: int) -> None:
        gate.wait(10)
        raise MachineError(f"machine {n}")

    with pytest.raises(ErrorList) as caught:
        run_parallel(ThreadPoolExecutor, range(2), work, width=2)
    assert sorted(e.what for e in caught.value.errors) == ["machine 0", "machine 1"]


def test_a_failure_is_told_rather_than_the_cancellation_it_met():
    gate = threading.Barrier(2)

    def work(n: int) -> None:
        gate.wait(10)
        raise TaskCancelled("cancelled") if n else MachineError("disk full")

    with pytest.raises(MachineError, match="disk full"):
        run_parallel(ThreadPoolExecutor, range(2), work, width=2)


def test_an_unexpected_error_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_parallel(ThreadPoolExecutor, range(4), lambda n: n // 0, width=2)

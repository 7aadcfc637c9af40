"""How a cloud is asked: retries, their budget and their pauses, and a driver for each thread."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls, Meaning, Patience, Verdict


class Trouble(Exception):
    def __init__(self, meaning: Meaning, wait_s: float = 0.0, ok_to_retry: bool = False) -> None:
        super().__init__("https://cloud/?Signature=secret")
        self.verdict = Verdict(
            meaning=meaning, wait_s=wait_s, error=CloudError("no", ok_to_retry=ok_to_retry)
        )


BUSY = Trouble(Meaning.REFUSED_FOR_NOW)
LOST = Trouble(Meaning.UNKNOWN)
NO = Trouble(Meaning.FINAL)


class Bench:
    """Calls to a cloud of no network, with a clock that only pauses move."""

    def __init__(self, *troubles: Exception, patience: Patience | None = None) -> None:
        self.troubles = list(troubles)
        self.now = 0.0
        self.pauses: list[float] = []
        self.asked = 0
        self.calls: Calls[object] = Calls(
            object,
            self._judge,
            patience=patience,
            sleep=self._sleep,
            clock=lambda: self.now,
            chance=random.Random(1).random,
        )

    def _judge(self, action: str, error: Exception) -> Verdict:
        if not isinstance(error, Trouble):
            raise error
        return error.verdict

    def _sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.now += pause_s

    def request(self, _: object) -> str:
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return "done"

    def ask(self, *, repeatable: bool = True) -> str:
        return self.calls.ask("asking", self.request, repeatable=repeatable)


@pytest.mark.parametrize(
    ("trouble", "repeatable", "asked"),
    [
        pytest.param(BUSY, True, 2, id="busy"),
        pytest.param(BUSY, False, 2, id="busy, nothing was done"),
        pytest.param(LOST, True, 2, id="lost"),
    ],
)
def test_what_is_asked_again(trouble: Trouble, repeatable: bool, asked: int) -> None:
    bench = Bench(trouble)
    assert bench.ask(repeatable=repeatable) == "done"
    assert bench.asked == asked


@pytest.mark.parametrize(
    ("trouble", "repeatable"),
    [
        pytest.param(LOST, False, id="lost, and it may not be repeated"),
        pytest.param(NO, True, id="refused"),
        pytest.param(NO, False, id="refused once"),
    ],
)
def test_what_is_not_asked_again(trouble: Trouble, repeatable: bool) -> None:
    bench = Bench(trouble)
    with pytest.raises(CloudError) as caught:
        bench.ask(repeatable=repeatable)
    assert bench.asked == 1
    assert not caught.value.ok_to_retry


@pytest.mark.parametrize("trouble", [BUSY, LOST])
def test_a_request_is_tried_so_often_and_the_error_says_that_it_may_be_again(
    trouble: Trouble,
) -> None:
    bench = Bench(*[trouble] * 9, patience=Patience(tries=5, budget_s=1000))
    with pytest.raises(CloudError) as caught:
        bench.ask()
    assert bench.asked == 5
    assert caught.value.ok_to_retry


def test_a_final_refusal_keeps_what_the_judge_says_of_retrying() -> None:
    bench = Bench(Trouble(Meaning.FINAL, ok_to_retry=True))
    with pytest.raises(CloudError) as caught:
        bench.ask()
    assert caught.value.ok_to_retry


def test_the_budget_ends_before_a_pause_that_would_exceed_it() -> None:
    bench = Bench(*[BUSY] * 99, patience=Patience(tries=99, budget_s=10, first_s=1, longest_s=4))
    with pytest.raises(CloudError):
        bench.ask()
    assert 5 < bench.now <= 10


def test_pauses_grow_and_are_drawn_between_half_and_all_of_it() -> None:
    patience = Patience(tries=8, budget_s=1000, first_s=0.2, longest_s=3.0)
    bench = Bench(*[BUSY] * 7, patience=patience)
    bench.ask()
    whole = [min(0.2 * 2**n, 3.0) for n in range(7)]
    assert all(w / 2 <= p <= w for p, w in zip(bench.pauses, whole, strict=True))
    assert len({round(p / w, 6) for p, w in zip(bench.pauses, whole, strict=True)}) > 1


def test_the_cloud_says_how_long_to_wait_at_least() -> None:
    bench = Bench(Trouble(Meaning.REFUSED_FOR_NOW, wait_s=7.0))
    bench.ask()
    assert bench.pauses == [7.0]


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    bench = Bench(Trouble(Meaning.REFUSED_FOR_NOW, wait_s=500.0))
    with pytest.raises(CloudError) as caught:
        bench.ask()
    assert bench.pauses == []
    assert caught.value.ok_to_retry


@pytest.mark.parametrize("error", [CloudError("ours"), KeyError("bug")], ids=["ours", "unknown"])
def test_what_is_passed_on_as_it_is(error: Exception) -> None:
    bench = Bench(error)
    with pytest.raises(type(error)) as caught:
        bench.ask()
    assert caught.value is error
    assert bench.asked == 1


def test_an_error_does_not_carry_the_request_along() -> None:
    with pytest.raises(CloudError) as caught:
        Bench(NO).ask()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_each_thread_has_a_driver_of_its_own() -> None:
    calls: Calls[object] = Calls(object, lambda _action, error: (_ for _ in ()).throw(error))
    assert calls.driver is calls.driver
    seen: list[object] = [calls.driver]
    threads = [threading.Thread(target=lambda: seen.append(calls.driver)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, seen))) == 5


def looks(*found: object) -> Callable[[], object]:
    left = list(found)
    return lambda: left.pop(0)


def test_until_gives_what_is_seen_first() -> None:
    bench = Bench()
    assert bench.calls.until("it", looks(None, None, 0), timeout_s=9) == 0
    assert len(bench.pauses) == 2


def test_until_gives_up_in_time_and_pauses_at_most_five_seconds() -> None:
    bench = Bench()
    with pytest.raises(CloudError, match="did not finish making tea within 60 s") as caught:
        bench.calls.until("making tea", lambda: None, timeout_s=60)
    assert caught.value.ok_to_retry
    assert 60 < bench.now <= 65
    assert max(bench.pauses) <= 5

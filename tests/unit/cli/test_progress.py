"""A task's progress: as lines, in a terminal, and what Ctrl-C does to it."""

from __future__ import annotations

import io

import pytest

from director.cli.interrupts import Interrupts, LeaveNow
from director.cli.live_progress import LiveProgress
from director.cli.progress import PlainProgress, SilentProgress
from director.cli.track import expect_done, track
from director.client.tasks import TaskInfo
from director.model.errors import TaskFailed

ONE = "redis/0d70bd1f-5f00-4f00-8f00-0123456789ab (0) (canary)"
TWO = "redis/1d70bd1f-5f00-4f00-8f00-0123456789ab (1)"


def task(state: str) -> TaskInfo:
    return TaskInfo(
        id=12,
        state=state,
        description="create deployment",
        started_at=1,
        finished_at=2,
        result="",
        user="admin",
        deployment="redis",
    )


@pytest.fixture
def deploy(events):
    """A deploy: one step alone, one with statuses, two at a time of which one fails."""
    update = {"tags": ["redis"], "total": 2}
    start = 1795179798
    return "".join(
        [
            events("Preparing deployment", "Rendering templates", "started", time=start),
            events("Preparing deployment", "Rendering templates", "finished", time=start + 2),
            events("Updating instance", ONE, "started", time=start + 2, **update),
            events(
                "Updating instance",
                ONE,
                "in_progress",
                time=start + 3,
                data={"status": "executing pre-start"},
                **update,
            ),
            events("Updating instance", ONE, "finished", time=start + 9, **update),
            events("Updating instance", TWO, "started", time=start + 9, **update),
            events("Updating instance", "other/1 (1)", "started", time=start + 9, **update),
            events(
                "Updating instance",
                TWO,
                "failed",
                time=start + 75,
                data={"error": "manifest:3:4: process 'redis' does not run"},
                **update,
            ),
            '{"time":1795179880,"type":"warning","message":"low on disk"}\n',
            '{"time":1795179881,"error":{"code":1,"message":"manifest:3:4: broken"}}\n',
        ]
    )


def translate(text: str) -> str:
    return text.replace("manifest:3:4", "mine.yml:9:9")


def test_what_is_said_between_stands_on_a_line_of_its_own(events):
    written: list[str] = []
    progress = PlainProgress(written.append)
    progress.started(12)
    progress.output(events("Updating instance", TWO, "started", time=1).encode())
    progress.aside(lambda: written.append("Cancelling\n"))
    progress.output(
        events("Updating instance", TWO, "failed", time=3, data={"error": "x"}).encode()
    )
    lines = [line for line in "".join(written).splitlines() if line]
    assert lines[-4].endswith(TWO)
    assert lines[-3] == "Cancelling"
    assert lines[-2].endswith(f"{TWO} (00:00:02)")


def test_plain(deploy, golden):
    written: list[str] = []
    progress = PlainProgress(written.append, translate=translate)
    progress.started(12)
    data = deploy.encode()
    for start in range(0, len(data), 100):
        progress.output(data[start : start + 100])
    progress.finished(task("error"))
    golden("cli/progress-plain.txt", "".join(written))


def test_plain_without_any_event():
    written: list[str] = []
    progress = PlainProgress(written.append)
    progress.started(12)
    progress.finished(task("done"))
    assert "".join(written) == "Task 12. Done\n"


@pytest.mark.parametrize("width", [80, 120])
def test_live_leaves_what_ended(deploy, golden, width):
    out = io.StringIO()
    progress = LiveProgress(out, width=width, color=False, translate=translate, now=lambda: 0.0)
    # Without the moving part: what stays on the screen is what is asserted.
    progress._live.auto_refresh = False
    progress.started(12)
    progress.output(deploy.encode())
    progress.finished(task("error"))
    shown = _as_on_screen(out.getvalue())
    assert max(len(line) for line in shown.splitlines()) <= width
    golden(f"cli/progress-live-{width}.txt", shown)


def _as_on_screen(text: str) -> str:
    """Return what stays of a terminal's output: erased lines are gone."""
    import re

    screen: list[str] = [""]
    row = 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\n|\r)", text):
        if part == "\n":
            row += 1
            if row == len(screen):
                screen.append("")
        elif part == "\x1b[1A":
            row = max(0, row - 1)
        elif part == "\x1b[2K":
            screen[row] = ""
        elif part and not part.startswith("\x1b") and part != "\r":
            screen[row] += part
    return "\n".join(line.rstrip() for line in screen).rstrip("\n") + "\n"


def test_silent_keeps_the_errors(deploy):
    progress = SilentProgress(translate=translate)
    progress.output(deploy.encode())
    assert progress.errors() == ["mine.yml:9:9: broken"]


@pytest.mark.parametrize("state", ["error", "cancelled", "timeout", "odd"])
def test_every_end_but_done_fails(state):
    assert expect_done(task("done"), []) == task("done")
    with pytest.raises(TaskFailed, match=f"Expected task '12' to succeed but state is '{state}'"):
        expect_done(task(state), [])


class Pressed(Interrupts):
    """Ctrl-C at the given waits, without a signal or a wait."""

    def __init__(self, *at: int) -> None:
        super().__init__()
        self._at = at
        self.waits = 0

    def wait(self, seconds: float) -> None:
        self.waits += 1
        if self.waits in self._at:
            self.press()


def test_ctrl_c_cancels_says_so_and_goes_on(director, http):
    number = director.starts("POST /x", polls=5)
    said: list[str] = []
    found = track(
        http,
        number,
        progress=SilentProgress(),
        interrupts=Pressed(2),
        say=said.append,
    )
    assert found.state == "cancelled"
    assert len(director.asked(f"DELETE /task/{number}")) == 1
    assert said == [
        "Cancelling task 1: it stops at its next checkpoint. "
        "Press Ctrl-C again to leave without waiting."
    ]


def test_second_ctrl_c_leaves(director, http):
    number = director.starts("POST /x", polls=50)
    with pytest.raises(LeaveNow):
        track(
            http,
            number,
            progress=SilentProgress(),
            interrupts=Pressed(1, 3),
            say=lambda _: None,
        )
    assert director.tasks[number].cancelled


def test_a_signal_is_counted_and_the_handler_put_back():
    import signal

    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        interrupts.wait(5)
        assert interrupts.count == 1
        with pytest.raises(LeaveNow):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_leaving_is_exit_code_130_and_ends_no_director(director, capsys):
    from contextlib import ExitStack

    from director.cli.main import run

    ended: list[str] = []
    left: list[int] = []

    def interrupted(_options, stack: ExitStack):
        stack.callback(ended.append, "director")
        raise LeaveNow

    assert run(["locks"], connect=interrupted, leave=left.append) == 130
    assert (left, ended) == ([130], [])
    assert "Left without waiting" in capsys.readouterr().err

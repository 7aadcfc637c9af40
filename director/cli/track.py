"""Following a task to its end, with its progress shown and Ctrl-C turned into a cancel."""

from __future__ import annotations

from collections.abc import Callable

from director.cli.interrupts import Interrupts
from director.cli.progress import Progress
from director.client.http import Http, Refusal
from director.client.tasks import TaskInfo, cancel_task, follow
from director.model.errors import TaskFailed


def track(
    http: Http,
    task_id: int,
    *,
    progress: Progress,
    interrupts: Interrupts,
    say: Callable[[str], None],
    kind: str = "event",
) -> TaskInfo:
    """Show a task until it ends and return it, whatever its end; see :func:`expect_done`.

    The first Ctrl-C asks the director to cancel the task and goes on following.
    """
    asked = False

    def pause(seconds: float) -> None:
        nonlocal asked
        if interrupts.count == 0:
            interrupts.wait(seconds)
        if interrupts.count and not asked:
            asked = True
            progress.aside(lambda: _ask_to_stop(http, task_id, say))
        elif asked:
            interrupts.wait(seconds)

    progress.started(task_id)
    try:
        task = follow(http, task_id, kind=kind, on_output=progress.output, pause=pause)
        progress.finished(task)
    finally:
        progress.close()
    return task


def expect_done(task: TaskInfo, errors: list[str]) -> TaskInfo:
    """Return a task that is done; raises TaskFailed with ``errors`` for any other end."""
    if task.state == "done":
        return task
    verdict = f"Expected task '{task.id}' to succeed but state is '{task.state}'"
    fix = None
    if task.state == "error" and not errors:
        fix = f"correct what the error above names; 'director task {task.id} --debug' tells more"
    raise TaskFailed("\n".join([*errors, verdict]), fix=fix)


def _ask_to_stop(http: Http, task_id: int, say: Callable[[str], None]) -> None:
    try:
        cancel_task(http, task_id)
    except Refusal as refused:
        say(f"Task {task_id} cannot be cancelled: {refused}")
        return
    say(
        f"Cancelling task {task_id}: it stops at its next checkpoint. "
        "Press Ctrl-C again to leave without waiting."
    )

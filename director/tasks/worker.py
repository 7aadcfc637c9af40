"""Run one task: find its operation, give it its ways to report, and end it whatever happens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from director.execute.hidden import begin_hiding, end_hiding, hidden_values
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import DirectorError, TaskCancelled
from director.model.events import AuditEvent, Progress, ProgressState
from director.model.tasks import Task, TaskState
from director.tasks.cancel import CancelFlag
from director.tasks.handlers import Handler
from director.tasks.log import current_task

_log = logging.getLogger(__name__)


def run_task(task: Task, world: World, find: Callable[[str], Handler]) -> None:
    """Run a claimed task to its end; never raises.

    The final state is written last: whoever sees it can read everything the task said.
    """
    token = current_task.set(task.id)
    hiding = begin_hiding()
    try:
        state, result = _outcome(task, world, find)
        _end(task, world, state, result)
    except Exception:  # noqa: BLE001  # a worker outlives its tasks
        # The database itself failed. The next director to start finds the task and ends it.
        _log.exception("task %s could not be ended", task.id)
    finally:
        _remove_upload(task, world)
        end_hiding(hiding)
        current_task.reset(token)


def _outcome(task: Task, world: World, find: Callable[[str], Handler]) -> tuple[TaskState, str]:
    run = make_run(task, world)
    _log.info("task %s: %s (%s) by %s", task.id, task.type, task.description, task.user)
    try:
        run.checkpoint()
        return TaskState.DONE, find(task.type)(world, run)
    except TaskCancelled:
        _log.info("cancelled")
        message = f"Task {task.id} cancelled"
        _say_error(task, world, TaskCancelled.code, message)
        return TaskState.CANCELLED, "task cancelled"
    except DirectorError as error:
        _log.info("failed", exc_info=True)
        # A cloud may say what it was sent.
        message = hidden_values().from_text(str(error))
        _say_error(task, world, error.code, message)
        return TaskState.ERROR, message
    except OSError as error:
        _log.exception("the host failed")
        message = f"the director's host failed: {error}"
        _say_error(task, world, DirectorError.code, message)
        return TaskState.ERROR, message
    except Exception as error:  # noqa: BLE001  # whatever an operation did wrong is told, once
        _log.exception("internal error")
        message = (
            f"internal error ({type(error).__name__})\n"
            f"  Fix: read 'director task {task.id} --debug' and report it"
        )
        _say_error(task, world, DirectorError.code, message)
        return TaskState.ERROR, message


def make_run(task: Task, world: World) -> TaskRun:
    """Return the task's ways to report, into its outputs and the audit trail."""
    outputs = world.store.outputs

    def emit(progress: Progress) -> None:
        line = progress.to_json()
        if progress.state is ProgressState.FAILED and progress.data is not None:
            line["data"] = hidden_values().from_data(line["data"])
        outputs.append(task.id, "event", json.dumps(line) + "\n")

    def warn(message: str) -> None:
        shown = hidden_values().from_text(message)
        _say(task, world, {"type": "warning", "message": shown})

    def write_result(text: str) -> None:
        outputs.append(task.id, "result", text if text.endswith("\n") else f"{text}\n")

    def audit(event: AuditEvent) -> None:
        world.store.events.add(
            replace(
                event,
                user=task.user,
                error=event.error and hidden_values().from_text(event.error),
                task=event.task or str(task.id),
                deployment=event.deployment or task.deployment,
                timestamp=event.timestamp or world.now(),
            )
        )

    return TaskRun(
        task=task,
        emit=emit,
        warn=warn,
        write_result=write_result,
        audit=audit,
        cancelled=CancelFlag(world.store, task.id, world.now),
        log=logging.getLogger("director.task"),
    )


def _say(task: Task, world: World, line: dict[str, Any]) -> None:
    text = json.dumps({"time": int(world.now()), **line})
    world.store.outputs.append(task.id, "event", text + "\n")


def _say_error(task: Task, world: World, code: int, message: str) -> None:
    try:
        _say(task, world, {"error": {"code": code, "message": message}})
    except OSError:
        # The disk is full, most likely; the state and the result still reach the operator.
        _log.exception("the error could not be written")


def _end(task: Task, world: World, state: TaskState, result: str) -> None:
    if state is TaskState.CANCELLED:
        # An operation may stop by itself; a task is cancelled only by way of being asked to.
        world.store.tasks.request_cancel(task.id)
    world.store.tasks.finish(task.id, state, result, world.now())


def _remove_upload(task: Task, world: World) -> None:
    path = task.args.get("path")
    if isinstance(path, str) and Path(path).parent == world.work_dir:
        Path(path).unlink(missing_ok=True)

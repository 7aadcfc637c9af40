"""However an operation ends, its task ends too, and says how, before its state does."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import ErrorList, ManifestError, NotSupported, TaskCancelled
from director.model.events import AuditEvent
from director.model.tasks import Task, TaskState
from director.store.store import Store, open_store
from director.tasks.handlers import HANDLERS, find_handler
from director.tasks.local_queue import LocalQueue
from director.tasks.log import ContextPool, TaskLog
from director.tasks.orphans import SILENT_S, end_orphans

ME = "here:1:1:me"


@dataclass
class SmallWorld:
    """As much of the world as the worker uses."""

    store: Store
    work_dir: Path
    now: Callable[[], float] = lambda: 100.5


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path}/d.db", tmp_path / "tasks", now=lambda: 100.5)
    yield cast(World, SmallWorld(store, tmp_path))
    store.close()


def run(
    world: World, operation: Callable[[World, TaskRun], str], **args: Any
) -> tuple[Task, list[dict[str, Any]]]:
    queue = LocalQueue(world, owner=ME, find=lambda _: operation)
    task = queue.enqueue("vms", "try", user="ann", deployment="cf", args=args)
    assert queue.close(timeout_s=10)
    lines = world.store.outputs.read(task.id, "event").decode().splitlines()
    return world.store.tasks.get(task.id), [json.loads(line) for line in lines]


def let_time_pass(world: World) -> None:
    """Make each look at the clock a second later than the one before."""
    seconds = itertools.count(100)
    cast(Any, world).now = lambda: float(next(seconds))


def test_an_operation_reports_and_is_done(world: World) -> None:
    def operation(world: World, run: TaskRun) -> str:
        with run.stage("Doing", total=1).track("it") as step:
            step.status("half way")
        run.warn("careful")
        run.write_result("one")
        run.write_result("two\n")
        run.audit(AuditEvent(action="try", object_type="thing", object_name="it"))
        return "all\nwell"

    task, lines = run(world, operation)
    assert (task.state, task.result) == (TaskState.DONE, "all well")
    assert (task.started_at, task.finished_at) == (100.5, 100.5)
    assert [line.get("state") or line["type"] for line in lines] == [
        "started",
        "in_progress",
        "finished",
        "warning",
    ]
    assert world.store.outputs.read(task.id, "result") == b"one\ntwo\n"
    (event,) = world.store.events.list()
    assert (event.user, event.task, event.deployment, event.timestamp) == (
        "ann",
        str(task.id),
        "cf",
        100.5,
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(ManifestError("no 'name'", fix="add it"), 190014, "Fix: add it", id="one"),
        pytest.param(
            ErrorList([ManifestError("first"), ManifestError("second")]), 101, "second", id="many"
        ),
        pytest.param(OSError(28, "No space left on device"), 100, "host failed: ", id="host"),
        pytest.param(ZeroDivisionError("p4ssw0rd"), 100, "(ZeroDivisionError)", id="bug"),
    ],
)
def test_a_failed_operation_ends_in_one_error(
    world: World, error: Exception, code: int, message: str
) -> None:
    def operation(world: World, run: TaskRun) -> str:
        raise error

    task, lines = run(world, operation)
    assert task.state is TaskState.ERROR
    assert lines[-1]["error"]["code"] == code
    assert message in lines[-1]["error"]["message"]
    assert "p4ssw0rd" not in json.dumps(lines) + str(task.result)


def test_an_unknown_type_is_an_error_of_the_task(world: World) -> None:
    queue = LocalQueue(world, owner=ME)
    task = queue.enqueue("nonsense", "x")
    assert queue.close(timeout_s=10)
    assert world.store.tasks.get(task.id).state is TaskState.ERROR


def test_a_cancelled_task_stops_at_its_checkpoint(world: World) -> None:
    let_time_pass(world)

    def operation(world: World, run: TaskRun) -> str:
        world.store.tasks.request_cancel(run.task.id)
        run.checkpoint()
        return "not reached"

    task, lines = run(world, operation)
    assert (task.state, task.result) == (TaskState.CANCELLED, "task cancelled")
    assert lines[-1]["error"] == {"code": 10001, "message": f"Task {task.id} cancelled"}


def test_an_operation_that_cancels_itself_is_cancelled(world: World) -> None:
    def operation(world: World, run: TaskRun) -> str:
        raise TaskCancelled("enough")

    task, _ = run(world, operation)
    assert task.state is TaskState.CANCELLED


def test_a_task_cancelled_before_it_ran_never_runs(world: World) -> None:
    ran: list[int] = []
    go = threading.Event()

    def operation(world: World, run: TaskRun) -> str:
        go.wait(10)
        ran.append(run.task.id)
        return ""

    queue = LocalQueue(world, owner=ME, workers=1, find=lambda _: operation)
    first, second = queue.enqueue("vms", "a"), queue.enqueue("vms", "b")
    assert world.store.tasks.request_cancel(second.id)
    go.set()
    assert queue.close(timeout_s=10)
    assert ran == [first.id]
    assert world.store.tasks.get(second.id).state is TaskState.CANCELLED


def test_tasks_run_side_by_side_up_to_the_width(world: World) -> None:
    together = threading.Barrier(3)

    def operation(world: World, run: TaskRun) -> str:
        together.wait(10)
        return ""

    queue = LocalQueue(world, owner=ME, workers=3, find=lambda _: operation)
    tasks = [queue.enqueue("vms", "a") for _ in range(6)]
    assert queue.close(timeout_s=10)
    assert {world.store.tasks.get(task.id).state for task in tasks} == {TaskState.DONE}


def test_closing_can_cancel_what_runs(world: World) -> None:
    def operation(world: World, run: TaskRun) -> str:
        while True:
            run.checkpoint()

    queue = LocalQueue(world, owner=ME, find=lambda _: operation)
    task = queue.enqueue("vms", "for ever")
    let_time_pass(world)
    assert not queue.close(timeout_s=0.05)
    assert queue.close(timeout_s=10, cancel=True)
    assert world.store.tasks.get(task.id).state is TaskState.CANCELLED


def test_an_upload_is_removed_and_nothing_else(world: World, tmp_path: Path) -> None:
    upload, foreign = world.work_dir / "upload", tmp_path / "d" / "mine"
    foreign.parent.mkdir()
    for path in (upload, foreign):
        path.write_text("x")
        run(world, lambda world, run: "", path=str(path))
    assert not upload.exists()
    assert foreign.exists()


def test_the_log_of_a_task_and_of_its_threads_is_its_debug_output(world: World) -> None:
    handler = TaskLog(world.store.outputs)
    logger = logging.getLogger("director")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def operation(world: World, run: TaskRun) -> str:
        run.log.info("from the task")
        with ContextPool(1) as pool:
            pool.submit(run.log.warning, "from its thread").result(10)
        logging.getLogger("director.cpi").info("create_vm")
        handler.emit(logging.makeLogRecord({"name": "cpis.external", "msg": "its own words"}))
        raise ZeroDivisionError

    try:
        logger.info("from nobody")
        task, _ = run(world, operation)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    log = world.store.outputs.read(task.id, "debug").decode()
    for text in ("from the task", "from its thread", "create_vm", "Traceback"):
        assert text in log
    assert "from nobody" not in log
    of_cpi = world.store.outputs.read(task.id, "cpi").decode().splitlines()
    assert [line.rpartition("] ")[2] for line in of_cpi] == ["create_vm", "its own words"]


def test_every_type_names_a_module_and_a_function() -> None:
    assert all(target.count(":") == 1 for target in HANDLERS.values())
    with pytest.raises(NotSupported, match="no task of type"):
        find_handler("nonsense")


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        pytest.param("queued", TaskState.ERROR, 100, id="queued"),
        pytest.param("processing", TaskState.ERROR, 100, id="processing"),
        pytest.param("cancelling", TaskState.CANCELLED, 10001, id="cancelling"),
    ],
)
def test_tasks_of_dead_directors_are_ended(
    world: World, before: str, after: TaskState, code: int
) -> None:
    store, dead = world.store, "here:2:2:dead"
    orphan = store.tasks.create(type="vms", description="x", owner=dead, now=1.0)
    alive = store.tasks.create(type="vms", description="x", owner=ME, now=1.0)
    if before != "queued":
        store.tasks.claim(dead, 1.0)
    if before == "cancelling":
        store.tasks.request_cancel(orphan.id)
    store.locks.acquire("lock:deployment:cf", orphan.id, dead, 1000.0, 1.0)
    store.locks.acquire("lock:deployment:ok", alive.id, ME, 1000.0, 1.0)

    def again() -> list[int]:
        return end_orphans(store, owner="here:3:3:new", now=2.0, is_dead=lambda o: o == dead)

    assert again() == [orphan.id]
    assert again() == []
    assert store.tasks.get(orphan.id).state is after
    line = json.loads(store.outputs.read(orphan.id, "event"))
    assert line["error"]["code"] == code
    assert store.tasks.get(alive.id).state is TaskState.QUEUED
    assert [lock.name for lock in store.locks.list()] == ["lock:deployment:ok"]


def test_a_silent_director_elsewhere_is_given_up(world: World) -> None:
    store = world.store
    task = store.tasks.create(type="vms", description="x", owner="elsewhere:1:1:x", now=0.0)

    def never(_: str) -> bool:
        return False

    assert end_orphans(store, owner=ME, now=SILENT_S, is_dead=never) == []
    assert end_orphans(store, owner=ME, now=SILENT_S + 1, is_dead=never) == [task.id]

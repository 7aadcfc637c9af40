"""The tasks table: the queue, and the memory of what was done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from director.model.errors import TaskNotFound
from director.model.tasks import MAY_BECOME, RUNNING, Task, TaskState, one_line
from director.store.database import Database
from director.store.tables import tasks as t

_RUNNING = sorted(state.value for state in RUNNING)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks by number. ``owner`` names the process that is to run one."""

    database: Database

    def create(
        self,
        *,
        type: str,
        description: str,
        owner: str,
        now: float,
        user: str = "admin",
        deployment: str | None = None,
        context_id: str = "",
        args: Mapping[str, Any] | None = None,
    ) -> Task:
        """Queue a task for ``owner``; ``args`` must be plain JSON data and hold no secret."""
        values = {
            "type": type,
            "state": TaskState.QUEUED.value,
            "description": description,
            "user": user,
            "deployment": deployment,
            "context_id": context_id,
            "args": dict(args or {}),
            "queued_at": now,
            "owner": owner,
            "heartbeat_at": now,
        }
        with self.database.write() as connection:
            done = connection.execute(insert(t).values(values))
            (new_id,) = done.inserted_primary_key or (0,)
            return _get(connection, int(new_id))

    def get(self, id: int) -> Task:
        """Return the task; raises TaskNotFound."""
        with self.database.read() as connection:
            return _get(connection, id)

    def unfinished(self) -> Sequence[tuple[Task, float]]:
        """Return every task that has not ended, with its last heartbeat, oldest first."""
        query = select(t).where(t.c.state.in_(_RUNNING)).order_by(t.c.id)
        with self.database.read() as connection:
            return [(_task(row), row.heartbeat_at) for row in connection.execute(query)]

    def adopt(self, id: int, *, owner: str, new_owner: str, now: float) -> bool:
        """Take a task over from a dead ``owner``; False if somebody else was faster."""
        with self.database.write() as connection:
            done = connection.execute(
                update(t)
                .where(t.c.id == id, t.c.owner == owner, t.c.state.in_(_RUNNING))
                .values(owner=new_owner, heartbeat_at=now)
            )
            return done.rowcount == 1

    def list(
        self,
        *,
        states: Collection[TaskState] | None = None,
        types: Collection[str] | None = None,
        deployment: str | None = None,
        context_id: str | None = None,
        limit: int | None = None,
    ) -> list[Task]:
        """Return tasks: those that run, then finished ones, newest first."""
        query = select(t).order_by(
            t.c.finished_at.is_not(None), t.c.finished_at.desc(), t.c.id.desc()
        )
        if states is not None:
            query = query.where(t.c.state.in_(sorted(state.value for state in states)))
        if types is not None:
            query = query.where(t.c.type.in_(sorted(types)))
        if deployment is not None:
            query = query.where(t.c.deployment == deployment)
        if context_id is not None:
            query = query.where(t.c.context_id == context_id)
        if limit is not None:
            query = query.limit(max(1, limit))
        with self.database.read() as connection:
            return [_task(row) for row in connection.execute(query)]

    def claim(self, owner: str, now: float) -> Task | None:
        """Start the oldest task queued for ``owner``; None if there is none.

        One that was cancelled while it waited is handed out too, still ``cancelling``, so that
        somebody ends it.
        """
        queued = t.c.state == TaskState.QUEUED.value
        refused = (t.c.state == TaskState.CANCELLING.value) & t.c.started_at.is_(None)
        query = select(t).where(t.c.owner == owner, or_(queued, refused)).order_by(t.c.id)
        with self.database.write() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
            if row is None:
                return None
            values: dict[str, Any] = {"started_at": now, "heartbeat_at": now}
            if row.state == TaskState.QUEUED.value:
                values["state"] = TaskState.PROCESSING.value
            connection.execute(update(t).where(t.c.id == row.id).values(values))
            return _get(connection, row.id)

    def set_state(self, id: int, state: TaskState) -> None:
        """Move the task to ``state``; raises ValueError for a step tasks do not take."""
        with self.database.write() as connection:
            _check(_get(connection, id), state)
            connection.execute(update(t).where(t.c.id == id).values(state=state.value))

    def finish(self, id: int, state: TaskState, result: str, now: float) -> None:
        """End the task with a one-line result (cut to size); everything it says must be written.

        Raises ValueError if it has ended already, or ``state`` is not an end.
        """
        with self.database.write() as connection:
            _check(_get(connection, id), state)
            if MAY_BECOME[state]:
                raise ValueError(f"'{state}' is not the end of a task")
            connection.execute(
                update(t)
                .where(t.c.id == id)
                .values(state=state.value, result=one_line(result), finished_at=now)
            )

    def heartbeat(self, owner: str, now: float) -> None:
        """Say that ``owner`` still runs its tasks."""
        with self.database.write() as connection:
            connection.execute(
                update(t)
                .where(t.c.owner == owner, t.c.state.in_(_RUNNING))
                .values(heartbeat_at=now)
            )

    def request_cancel(self, id: int) -> bool:
        """Ask the task to stop; False if it has ended or was asked before. Raises TaskNotFound."""
        with self.database.write() as connection:
            task = _get(connection, id)
            if task.state not in (TaskState.QUEUED, TaskState.PROCESSING):
                return False
            connection.execute(
                update(t).where(t.c.id == id).values(state=TaskState.CANCELLING.value)
            )
            return True


def _check(task: Task, state: TaskState) -> None:
    if state not in MAY_BECOME[task.state]:
        raise ValueError(f"task {task.id} is '{task.state}' and cannot become '{state}'")


def _get(connection: Connection, id: int) -> Task:
    row = connection.execute(select(t).where(t.c.id == id)).one_or_none()
    if row is None:
        raise TaskNotFound(f"Task {id} not found")
    return _task(row)


def _task(row: Any) -> Task:
    return Task(
        id=row.id,
        type=row.type,
        state=TaskState(row.state),
        description=row.description,
        user=row.user,
        deployment=row.deployment,
        context_id=row.context_id,
        args=row.args,
        result=row.result,
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        owner=row.owner,
    )

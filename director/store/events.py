"""The audit trail."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert, select

from director.model.events import AuditEvent
from director.store.database import Database
from director.store.tables import events as t

PAGE = 200
"""How many events one listing returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; ``before_*`` excludes, ``after_time`` includes, texts are exact."""

    before_id: int | None = None
    before_time: float | None = None
    after_time: float | None = None
    task: str | None = None
    deployment: str | None = None
    instance: str | None = None
    user: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_name: str | None = None


_EXACT = ("task", "deployment", "instance", "user", "action", "object_type", "object_name")


@dataclass(frozen=True, slots=True)
class Events:
    """Audit events, in the order they were added."""

    database: Database

    def add(self, event: AuditEvent) -> int:
        """Keep an event and return its id (the one it came with is not looked at)."""
        values = asdict(event)
        del values["id"]
        with self.database.write() as connection:
            done = connection.execute(insert(t).values(values))
            (new_id,) = done.inserted_primary_key or (0,)
            return int(new_id)

    def get(self, id: int) -> AuditEvent | None:
        with self.database.read() as connection:
            row = connection.execute(select(t).where(t.c.id == id)).one_or_none()
        return None if row is None else _event(row)

    def list(self, chosen: EventFilter | None = None, *, limit: int = PAGE) -> list[AuditEvent]:
        """Return the newest events that match, newest first."""
        query = select(t).order_by(t.c.id.desc()).limit(limit)
        if chosen is not None:
            query = query.where(*_conditions(chosen))
        with self.database.read() as connection:
            return [_event(row) for row in connection.execute(query)]


def _conditions(chosen: EventFilter) -> list[Any]:
    found: list[Any] = [
        t.c[name] == getattr(chosen, name) for name in _EXACT if getattr(chosen, name) is not None
    ]
    if chosen.before_id is not None:
        found.append(t.c.id < chosen.before_id)
    if chosen.before_time is not None:
        found.append(t.c.timestamp < chosen.before_time)
    if chosen.after_time is not None:
        found.append(t.c.timestamp >= chosen.after_time)
    return found


def _event(row: Any) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        parent_id=row.parent_id,
        timestamp=row.timestamp,
        user=row.user,
        action=row.action,
        object_type=row.object_type,
        object_name=row.object_name,
        task=row.task,
        deployment=row.deployment,
        instance=row.instance,
        error=row.error,
        context=row.context,
    )

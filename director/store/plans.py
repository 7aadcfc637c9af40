"""The plans tasks made, to be read later."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import delete, insert, select

from director.model.records import PlanRecord
from director.store.database import Database
from director.store.tables import plans as t


@dataclass(frozen=True, slots=True)
class Plans:
    """Plans by task; the last one a task made counts."""

    database: Database

    def save(self, record: PlanRecord) -> None:
        """Keep ``record`` in place of an earlier plan of the same task."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.task_id == record.task_id))
            connection.execute(insert(t).values(asdict(record)))

    def get(self, task_id: int) -> PlanRecord | None:
        with self.database.read() as connection:
            row = connection.execute(select(t).where(t.c.task_id == task_id)).one_or_none()
        if row is None:
            return None
        return PlanRecord(
            task_id=row.task_id,
            deployment=row.deployment,
            text=row.text,
            created_at=row.created_at,
        )

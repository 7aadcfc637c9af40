"""The variables table: versions of credentials, sealed by whoever hands them in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert, select

from director.model.records import VariableRecord
from director.store.database import Database
from director.store.tables import variables as t


@dataclass(frozen=True, slots=True)
class Variables:
    """Versions of variables by absolute name; none is ever changed."""

    database: Database

    def latest(self, name: str) -> VariableRecord | None:
        query = select(t).where(t.c.name == name).order_by(t.c.number.desc()).limit(1)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _variable(row)

    def add(self, record: VariableRecord) -> None:
        """Keep a new version; it is the latest from now on."""
        with self.database.write() as connection:
            connection.execute(insert(t).values(asdict(record)))

    def list(self, deployment: str) -> list[VariableRecord]:
        """Return the latest version of each variable of a deployment, by name."""
        query = select(t).where(t.c.deployment == deployment).order_by(t.c.name, t.c.number)
        with self.database.read() as connection:
            newest = {row.name: _variable(row) for row in connection.execute(query)}
        return [*newest.values()]


def _variable(row: Any) -> VariableRecord:
    return VariableRecord(
        id=row.id,
        name=row.name,
        deployment=row.deployment,
        type=row.type,
        sealed=row.sealed,
        options=row.options,
        created_at=row.created_at,
    )

"""The configs table: every version of every config, deleted ones kept but not listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from director.model.errors import ConfigChanged
from director.model.records import ConfigRecord
from director.store.database import Database
from director.store.tables import configs as t


@dataclass(frozen=True, slots=True)
class Configs:
    """Configs by type and name; the newest that is not deleted counts."""

    database: Database
    now: Callable[[], float]

    def create(
        self, type: str, name: str, content: str, *, expected_latest_id: int | None = None
    ) -> ConfigRecord:
        """Keep a new version and return it; text equal to the latest one makes none.

        Raises ConfigChanged if ``expected_latest_id`` (0: none) is given and another is latest.
        """
        with self.database.write() as connection:
            latest = _latest(connection, type, name)
            latest_id = latest.id if latest else 0
            if expected_latest_id is not None and expected_latest_id != latest_id:
                raise ConfigChanged(
                    f"the latest {type} config '{name}' has id '{latest_id}', "
                    f"not '{expected_latest_id}'",
                    latest_id=latest_id,
                    expected_latest_id=expected_latest_id,
                )
            if latest and latest.content == content:
                return latest
            created_at = self.now()
            done = connection.execute(
                insert(t).values(
                    type=type, name=name, content=content, created_at=created_at, deleted=False
                )
            )
            (new_id,) = done.inserted_primary_key or (0,)
            return ConfigRecord(
                id=new_id, type=type, name=name, content=content, created_at=created_at
            )

    def latest(self, type: str, name: str = "default") -> ConfigRecord | None:
        with self.database.read() as connection:
            return _latest(connection, type, name)

    def latest_ids(self, type: str) -> tuple[int, ...]:
        """Return the id of the newest version of each config of a type: what changes with any."""
        newest = select(func.max(t.c.id)).where(t.c.type == type, ~t.c.deleted).group_by(t.c.name)
        with self.database.read() as connection:
            return tuple(sorted(connection.execute(newest).scalars()))

    def get(self, id: int, *, live: bool = False) -> ConfigRecord | None:
        """Return one version. Deleted ones too, for deployments still use them, unless ``live``."""
        with self.database.read() as connection:
            row = connection.execute(select(t).where(t.c.id == id)).one_or_none()
            if row is None or (live and row.deleted):
                return None
            latest = _latest(connection, row.type, row.name)
        return _record(row, current=latest is not None and latest.id == row.id)

    def list(
        self, type: str | None = None, name: str | None = None, limit: int = 1
    ) -> list[ConfigRecord]:
        """Return the newest ``limit`` versions of each config: by type, then name (``default``
        first), newest first."""
        query = select(t).where(~t.c.deleted).order_by(t.c.type, t.c.name, t.c.id.desc())
        if type is not None:
            query = query.where(t.c.type == type)
        if name is not None:
            query = query.where(t.c.name == name)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        found: list[ConfigRecord] = []
        seen: dict[tuple[str, str], int] = {}
        for row in rows:
            count = seen[row.type, row.name] = seen.get((row.type, row.name), 0) + 1
            if count <= limit:
                found.append(_record(row, current=count == 1))
        return sorted(found, key=lambda c: (c.type, c.name != "default", c.name, -c.id))

    def delete(self, type: str, name: str) -> bool:
        """Delete all versions of a config; tells whether there were any."""
        return self._delete(t.c.type == type, t.c.name == name)

    def delete_version(self, id: int) -> bool:
        """Delete one version; tells whether it was there."""
        return self._delete(t.c.id == id)

    def _delete(self, *which: Any) -> bool:
        with self.database.write() as connection:
            done = connection.execute(update(t).where(~t.c.deleted, *which).values(deleted=True))
            return done.rowcount > 0


def _latest(connection: Connection, type: str, name: str) -> ConfigRecord | None:
    query = (
        select(t)
        .where(t.c.type == type, t.c.name == name, ~t.c.deleted)
        .order_by(t.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _record(row, current=True)


def _record(row: Any, *, current: bool) -> ConfigRecord:
    return ConfigRecord(
        id=row.id,
        type=row.type,
        name=row.name,
        content=row.content,
        created_at=row.created_at,
        current=current,
    )

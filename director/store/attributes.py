"""Facts about this director itself, by name: its UUID above all."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select

from director.store.database import Database
from director.store.tables import attributes as t


@dataclass(frozen=True, slots=True)
class Attributes:
    """Named texts that are set once."""

    database: Database

    def ensure(self, name: str, value: str) -> str:
        """Return what is kept under ``name``; keep ``value`` there if there is nothing yet."""
        kept = select(t.c.value).where(t.c.name == name)
        with self.database.read() as connection:
            found = connection.execute(kept).scalar()
        if found is not None:
            return str(found)
        with self.database.write() as connection:
            found = connection.execute(kept).scalar()
            if found is None:
                connection.execute(insert(t).values(name=name, value=value))
            return value if found is None else str(found)

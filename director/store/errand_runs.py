"""What errands last ran on successfully, for ``run-errand --when-changed``."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from director.store.database import Database
from director.store.tables import errand_runs as t


@dataclass(frozen=True, slots=True)
class ErrandRuns:
    """By deployment and errand, a digest of everything the last successful run depended on."""

    database: Database

    def last(self, deployment: str, errand: str) -> str | None:
        query = select(t.c.digest).where(t.c.deployment == deployment, t.c.errand == errand)
        with self.database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def record(self, deployment: str, errand: str, digest: str) -> None:
        """Keep the digest of a run that succeeded."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.deployment == deployment, t.c.errand == errand))
            connection.execute(
                insert(t).values(deployment=deployment, errand=errand, digest=digest)
            )

"""The stemcells table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from director.model.ids import StemcellCid
from director.model.stemcell import Stemcell
from director.store.database import Database
from director.store.tables import stemcells as t


@dataclass(frozen=True, slots=True)
class Stemcells:
    """Stemcells as uploaded: one row for each name, version and CPI."""

    database: Database

    def add(self, stemcell: Stemcell) -> None:
        """Keep ``stemcell``, in place of any with the same name, version and CPI."""
        with self.database.write() as connection:
            connection.execute(
                delete(t).where(
                    t.c.name == stemcell.name,
                    t.c.version == stemcell.version,
                    t.c.cpi == stemcell.cpi,
                )
            )
            connection.execute(insert(t).values(asdict(stemcell)))

    def copies(self, name: str, version: str) -> list[Stemcell]:
        """Return a stemcell as it is on each CPI that has it, oldest upload first."""
        query = select(t).where(t.c.name == name, t.c.version == version).order_by(t.c.id)
        with self.database.read() as connection:
            return [_stemcell(row) for row in connection.execute(query)]

    def list(self) -> list[Stemcell]:
        """Return all, by name, oldest upload first."""
        with self.database.read() as connection:
            rows = connection.execute(select(t).order_by(t.c.name, t.c.id))
            return [_stemcell(row) for row in rows]

    def delete(self, name: str, version: str, cpi: str | None = None) -> None:
        """Forget a stemcell, on one CPI or on all."""
        which = [t.c.name == name, t.c.version == version]
        if cpi is not None:
            which.append(t.c.cpi == cpi)
        with self.database.write() as connection:
            connection.execute(delete(t).where(*which))


def _stemcell(row: Any) -> Stemcell:
    return Stemcell(
        name=row.name,
        version=row.version,
        operating_system=row.operating_system,
        cid=StemcellCid(row.cid),
        cpi=row.cpi,
        api_version=row.api_version,
    )

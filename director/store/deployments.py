"""The deployments table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from director.model.records import DeploymentRecord
from director.store.database import Database
from director.store.tables import deployments as t
from director.store.tables import errand_runs


@dataclass(frozen=True, slots=True)
class Deployments:
    """Deployments by name, with what they were last deployed from."""

    database: Database
    now: Callable[[], float]

    def ensure(self, name: str) -> DeploymentRecord:
        """Make the deployment's row if there is none; return it."""
        with self.database.write() as connection:
            row = connection.execute(select(t).where(t.c.name == name)).one_or_none()
            if row is not None:
                return _record(row)
            record = DeploymentRecord(name=name, created_at=self.now())
            connection.execute(insert(t).values(_values(record)))
            return record

    def get(self, name: str) -> DeploymentRecord | None:
        with self.database.read() as connection:
            row = connection.execute(select(t).where(t.c.name == name)).one_or_none()
        return None if row is None else _record(row)

    def list(self) -> list[DeploymentRecord]:
        """Return all deployments, by name."""
        with self.database.read() as connection:
            return [_record(row) for row in connection.execute(select(t).order_by(t.c.name))]

    def record(self, record: DeploymentRecord) -> None:
        """Keep ``record``; the time of creation stays what it was."""
        values = _values(record)
        with self.database.write() as connection:
            kept = {key: value for key, value in values.items() if key != "created_at"}
            done = connection.execute(update(t).where(t.c.name == record.name).values(kept))
            if done.rowcount == 0:
                values["created_at"] = record.created_at or self.now()
                connection.execute(insert(t).values(values))

    def delete(self, name: str) -> None:
        """Forget the deployment; its instances and VMs must be gone (an error otherwise)."""
        with self.database.write() as connection:
            connection.execute(delete(errand_runs).where(errand_runs.c.deployment == name))
            connection.execute(delete(t).where(t.c.name == name))


def _values(record: DeploymentRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "manifest": record.manifest,
        "cloud_config_ids": list(record.cloud_config_ids),
        "releases": [list(pair) for pair in record.releases],
        "stemcells": [list(pair) for pair in record.stemcells],
        "created_at": record.created_at,
    }


def _record(row: Any) -> DeploymentRecord:
    return DeploymentRecord(
        name=row.name,
        manifest=row.manifest,
        cloud_config_ids=tuple(row.cloud_config_ids),
        releases=tuple((name, version) for name, version in row.releases),
        stemcells=tuple((name, version) for name, version in row.stemcells),
        created_at=row.created_at,
    )

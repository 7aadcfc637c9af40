"""The locks table: leases that their holders renew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from director.model.records import LockRecord
from director.store.database import Database
from director.store.tables import locks as t


def _never(_owner: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Locks:
    """Locks by name; one that expired is free."""

    database: Database

    def acquire(
        self,
        name: str,
        task_id: int,
        owner: str,
        ttl_s: float,
        now: float,
        *,
        is_dead: Callable[[str], bool] = _never,
    ) -> bool:
        """Take the lock for ``ttl_s`` seconds and return whether it was free.

        It is free if nobody holds it, the lease expired, its owner ``is_dead``, or this very task
        of this owner holds it.
        """
        lease = {"task_id": task_id, "owner": owner, "expires_at": now + ttl_s}
        with self.database.write() as connection:
            held = connection.execute(select(t).where(t.c.name == name)).one_or_none()
            if held is None:
                connection.execute(insert(t).values(name=name, **lease))
                return True
            ours = held.task_id == task_id and held.owner == owner
            if not (ours or held.expires_at <= now or is_dead(held.owner)):
                return False
            connection.execute(update(t).where(t.c.name == name).values(lease))
            return True

    def renew(self, name: str, task_id: int, owner: str, ttl_s: float, now: float) -> bool:
        """Hold the lock for another ``ttl_s`` seconds; False if it is lost to somebody else."""
        with self.database.write() as connection:
            done = connection.execute(
                update(t)
                .where(t.c.name == name, t.c.task_id == task_id, t.c.owner == owner)
                .values(expires_at=now + ttl_s)
            )
            return done.rowcount == 1

    def release(self, name: str, task_id: int, owner: str) -> None:
        """Give the lock back; one that is not held any more is no error."""
        with self.database.write() as connection:
            connection.execute(
                delete(t).where(t.c.name == name, t.c.task_id == task_id, t.c.owner == owner)
            )

    def release_all(self, owner: str) -> None:
        """Give back every lock of a process that is gone."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.owner == owner))

    def list(self) -> list[LockRecord]:
        with self.database.read() as connection:
            return [_lock(row) for row in connection.execute(select(t).order_by(t.c.name))]


def _lock(row: Any) -> LockRecord:
    return LockRecord(
        name=row.name, task_id=row.task_id, owner=row.owner, expires_at=row.expires_at
    )

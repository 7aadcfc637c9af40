"""The persistent disks table. Like a VM, a disk is written down before it is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from director.model.errors import DiskNotFound, InstanceNotFound
from director.model.ids import DiskCid, InstanceId
from director.model.instances import DiskSpec, RecordedDisk
from director.store.database import Database
from director.store.tables import disks as t
from director.store.tables import instances


@dataclass(frozen=True, slots=True)
class Disks:
    """Persistent disks, of instances and orphaned ones."""

    database: Database

    def intend(self, disk: RecordedDisk) -> None:
        """Record that ``disk`` is about to be made; may be called again for the same token."""
        values = asdict(disk)
        with self.database.write() as connection:
            done = connection.execute(update(t).where(t.c.token == disk.token).values(values))
            if done.rowcount == 0:
                connection.execute(insert(t).values(values))

    def created(self, token: str, cid: DiskCid) -> None:
        """Record what the cloud answered."""
        with self.database.write() as connection:
            connection.execute(update(t).where(t.c.token == token).values(cid=cid))

    def changed(self, token: str, disk: DiskSpec) -> None:
        """Record what a disk is now, after the cloud changed it in place."""
        with self.database.write() as connection:
            connection.execute(update(t).where(t.c.token == token).values(asdict(disk)))

    def activate(self, cid: DiskCid, instance_id: InstanceId) -> None:
        """Make the disk the one the instance uses; the one it used before stays its, inactive.

        An orphaned disk is adopted. Raises DiskNotFound or InstanceNotFound.
        """
        with self.database.write() as connection:
            owner = connection.execute(
                select(instances).where(instances.c.id == instance_id)
            ).one_or_none()
            if owner is None:
                raise InstanceNotFound(f"instance '{instance_id}' does not exist")
            connection.execute(
                update(t).where(t.c.instance_id == instance_id, t.c.active).values(active=False)
            )
            done = connection.execute(
                update(t)
                .where(t.c.cid == cid)
                .values(
                    active=True,
                    instance_id=instance_id,
                    deployment=owner.deployment,
                    instance_name=f"{owner.group}/{instance_id}",
                    orphaned_at=None,
                )
            )
            if done.rowcount == 0:
                raise DiskNotFound(f"disk '{cid}' does not exist")

    def orphan(self, cid: DiskCid, at: float) -> None:
        """Let the disk belong to nobody since ``at``; an orphan keeps its first date."""
        with self.database.write() as connection:
            connection.execute(
                update(t)
                .where(t.c.cid == cid, t.c.orphaned_at.is_(None))
                .values(active=False, instance_id=None, orphaned_at=at)
            )

    def delete(self, cid: DiskCid) -> None:
        """Forget a disk that is gone from the cloud; one that is not there is no error."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.cid == cid))

    def forget(self, token: str) -> None:
        """Forget an intent nothing came of; one that is not there is no error."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.token == token))

    def get(self, cid: DiskCid) -> RecordedDisk | None:
        with self.database.read() as connection:
            row = connection.execute(select(t).where(t.c.cid == cid)).one_or_none()
        return None if row is None else to_disk(row)

    def orphans(self) -> list[RecordedDisk]:
        """Return orphaned disks, the newest orphan first."""
        query = select(t).where(t.c.orphaned_at.is_not(None))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(t.c.orphaned_at.desc(), t.c.token))
            return [to_disk(row) for row in rows]

    def list(self, deployment: str | None = None) -> list[RecordedDisk]:
        """Return disks that belong to instances, mere intents too, but no orphans."""
        query = select(t).where(t.c.orphaned_at.is_(None)).order_by(t.c.instance_name, t.c.token)
        if deployment is not None:
            query = query.where(t.c.deployment == deployment)
        with self.database.read() as connection:
            return [to_disk(row) for row in connection.execute(query)]


def to_disk(row: Any) -> RecordedDisk:
    """Return a row of the table as the model has it."""
    return RecordedDisk(
        token=row.token,
        deployment=row.deployment,
        instance_name=row.instance_name,
        size_mb=row.size_mb,
        cid=None if row.cid is None else DiskCid(row.cid),
        instance_id=None if row.instance_id is None else InstanceId(row.instance_id),
        az=row.az,
        cpi=row.cpi,
        type=row.type,
        cloud_properties=row.cloud_properties,
        active=row.active,
        orphaned_at=row.orphaned_at,
    )

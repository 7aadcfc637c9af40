"""The instances table, read together with VMs and disks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from director.model.ids import InstanceId
from director.model.instances import (
    DesiredState,
    RecordedDisk,
    RecordedInstance,
    RecordedVm,
    spec_from_json,
    spec_to_json,
)
from director.store.database import Database
from director.store.disks import to_disk
from director.store.tables import disks, vms
from director.store.tables import instances as t
from director.store.vms import to_vm


@dataclass(frozen=True, slots=True)
class Instances:
    """Instances by id; each is read with its VM and disks in three queries, however many."""

    database: Database

    def list(self, deployment: str | None = None) -> list[RecordedInstance]:
        """Return instances by deployment, group and index."""
        where = () if deployment is None else (t.c.deployment == deployment,)
        vms_where = () if deployment is None else (vms.c.deployment == deployment,)
        disks_where = () if deployment is None else (disks.c.deployment == deployment,)
        with self.database.read() as connection:
            return _load(connection, where, vms_where, disks_where)

    def get(self, id: InstanceId) -> RecordedInstance | None:
        with self.database.read() as connection:
            found = _load(
                connection,
                (t.c.id == id,),
                (vms.c.instance_id == id,),
                (disks.c.instance_id == id,),
            )
        return found[0] if found else None

    def save(self, instance: RecordedInstance) -> None:
        """Keep the instance's own columns; its VM and disks have repositories of their own."""
        self.save_many([instance])

    def save_many(self, instances: Iterable[RecordedInstance]) -> None:
        """Keep many instances in one transaction."""
        rows = [_values(instance) for instance in instances]
        if not rows:
            return
        with self.database.write() as connection:
            known = _known(connection, [row["id"] for row in rows])
            new = [row for row in rows if row["id"] not in known]
            old = [{**row, "_id": row["id"]} for row in rows if row["id"] in known]
            if new:
                connection.execute(insert(t), new)
            if old:
                connection.execute(update(t).where(t.c.id == bindparam("_id")), old)

    def delete(self, id: InstanceId) -> None:
        """Forget an instance; its VM and disks must be gone or orphaned (an error otherwise)."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.id == id))


def _known(connection: Connection, ids: Sequence[str]) -> set[str]:
    if len(ids) > 500:
        return set(connection.execute(select(t.c.id)).scalars())
    return set(connection.execute(select(t.c.id).where(t.c.id.in_(ids))).scalars())


def _load(
    connection: Connection,
    where: Sequence[Any],
    vms_where: Sequence[Any],
    disks_where: Sequence[Any],
) -> list[RecordedInstance]:
    vm_of: dict[str, RecordedVm] = {}
    for row in connection.execute(
        select(vms)
        .where(vms.c.instance_id.is_not(None), *vms_where)
        .order_by(vms.c.cid.is_not(None), vms.c.id)
    ):
        # The newest that the cloud confirmed counts; a mere intent only where there is none.
        vm_of[row.instance_id] = to_vm(row)
    disks_of: dict[str, list[RecordedDisk]] = {}
    for row in connection.execute(
        select(disks)
        .where(disks.c.instance_id.is_not(None), *disks_where)
        .order_by(disks.c.active.desc(), disks.c.token)
    ):
        disks_of.setdefault(row.instance_id, []).append(to_disk(row))
    query = select(t).where(*where).order_by(t.c.deployment, t.c.group, t.c.index, t.c.id)
    return [
        _instance(row, vm_of.get(row["id"]), disks_of.get(row["id"], ()))
        for row in connection.execute(query).mappings()
    ]


def _instance(
    row: Mapping[Any, Any], vm: RecordedVm | None, owned: Sequence[RecordedDisk]
) -> RecordedInstance:
    # Read as a mapping: ``index`` as an attribute of a row is the tuple's method.
    return RecordedInstance(
        id=InstanceId(row["id"]),
        deployment=row["deployment"],
        group=row["group"],
        index=row["index"],
        az=row["az"],
        bootstrap=row["bootstrap"],
        state=DesiredState(row["state"]),
        ignore=row["ignore"],
        dirty=row["dirty"],
        spec=spec_from_json(row["spec"]) if row["spec"] else None,
        vm=vm,
        disks=tuple(owned),
    )


def _values(instance: RecordedInstance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "deployment": instance.deployment,
        "group": instance.group,
        "index": instance.index,
        "az": instance.az,
        "bootstrap": instance.bootstrap,
        "state": instance.state.value,
        "ignore": instance.ignore,
        "dirty": instance.dirty,
        "spec": spec_to_json(instance.spec) if instance.spec else None,
    }

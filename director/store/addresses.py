"""The addresses table: who has which address, over all deployments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from director.model.errors import AddressTaken
from director.model.ids import InstanceId
from director.model.records import AddressRecord
from director.store.database import Database
from director.store.tables import addresses as t


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses given out; an address of a network has one holder at a time."""

    database: Database

    def all(self) -> list[AddressRecord]:
        with self.database.read() as connection:
            rows = connection.execute(select(t).order_by(t.c.network, t.c.ip))
            return [_address(row) for row in rows]

    def reserve(self, records: Sequence[AddressRecord]) -> None:
        """Give out all of ``records`` or none; what its holder has already stays its.

        Raises AddressTaken naming the first one somebody else holds.
        """
        if not records:
            return
        with self.database.write() as connection:
            held = {(row.network, row.ip): _address(row) for row in connection.execute(select(t))}
            new: dict[tuple[str, str], AddressRecord] = {}
            for record in records:
                key = (record.network, record.ip)
                other = held.get(key) or new.get(key)
                if other is None:
                    new[key] = record
                elif (other.instance_id, other.owner) != (record.instance_id, record.owner):
                    raise AddressTaken(
                        f"address '{record.ip}' of network '{record.network}' is in use by "
                        f"{_holder(other)}",
                        fix="give the instance another address, or delete who has this one",
                    )
            if new:
                connection.execute(insert(t), [asdict(record) for record in new.values()])

    def release(
        self,
        instance_id: InstanceId | None = None,
        owner: str | None = None,
        keep: Collection[tuple[str, str]] = (),
    ) -> None:
        """Take back the addresses of an instance or a compilation VM, but for those in ``keep``,
        which are (network, ip) pairs. At least one of the two holders must be given."""
        if instance_id is None and not owner:
            raise ValueError("nobody's addresses are not to be released")
        which: list[Any] = []
        if instance_id is not None:
            which.append(t.c.instance_id == instance_id)
        if owner:
            which.append(t.c.owner == owner)
        with self.database.write() as connection:
            for row in connection.execute(select(t).where(*which)).all():
                if (row.network, row.ip) not in keep:
                    connection.execute(
                        delete(t).where(t.c.network == row.network, t.c.ip == row.ip)
                    )


def _holder(record: AddressRecord) -> str:
    who = f"instance '{record.instance_id}'" if record.instance_id else "a compilation VM"
    return f"{who} of deployment '{record.deployment}'"


def _address(row: Any) -> AddressRecord:
    return AddressRecord(
        network=row.network,
        ip=row.ip,
        deployment=row.deployment,
        instance_id=None if row.instance_id is None else InstanceId(row.instance_id),
        owner=row.owner,
    )

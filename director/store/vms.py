"""The VMs table. A row is written before the VM is made, so that no crash hides one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from director.model.ids import AgentId, InstanceId, VmCid
from director.model.instances import RecordedVm
from director.store.database import Database
from director.store.tables import vms as t


@dataclass(frozen=True, slots=True)
class Vms:
    """VMs by agent id, the director's own name for each."""

    database: Database

    def intend(self, vm: RecordedVm) -> None:
        """Record that ``vm`` is about to be made; may be called again for the same agent id."""
        values = asdict(vm)
        with self.database.write() as connection:
            done = connection.execute(update(t).where(t.c.agent_id == vm.agent_id).values(values))
            if done.rowcount == 0:
                connection.execute(insert(t).values(values))

    def created(
        self,
        agent_id: AgentId,
        cid: VmCid,
        networks: Mapping[str, Any],
        created_at: float,
    ) -> None:
        """Record what the cloud answered."""
        with self.database.write() as connection:
            connection.execute(
                update(t)
                .where(t.c.agent_id == agent_id)
                .values(cid=cid, networks=dict(networks), created_at=created_at)
            )

    def pin(self, agent_id: AgentId, host_public_key: str) -> str:
        """Record the first host key a VM showed; returns the one that counts, which is an earlier
        one if there is one."""
        with self.database.write() as connection:
            connection.execute(
                update(t)
                .where(t.c.agent_id == agent_id, t.c.host_public_key == "")
                .values(host_public_key=host_public_key)
            )
            query = select(t.c.host_public_key).where(t.c.agent_id == agent_id)
            return str(connection.execute(query).scalar_one())

    def delete(self, agent_id: AgentId) -> None:
        """Forget a VM that is gone; one that is not there is no error."""
        with self.database.write() as connection:
            connection.execute(delete(t).where(t.c.agent_id == agent_id))

    def list(self, deployment: str | None = None) -> list[RecordedVm]:
        """Return all VMs, compilation VMs and mere intents too, oldest first."""
        query = select(t).order_by(t.c.id)
        if deployment is not None:
            query = query.where(t.c.deployment == deployment)
        with self.database.read() as connection:
            return [to_vm(row) for row in connection.execute(query)]


def to_vm(row: Any) -> RecordedVm:
    """Return a row of the table as the model has it."""
    return RecordedVm(
        agent_id=AgentId(row.agent_id),
        deployment=row.deployment,
        cid=None if row.cid is None else VmCid(row.cid),
        instance_id=None if row.instance_id is None else InstanceId(row.instance_id),
        cpi=row.cpi,
        stemcell=row.stemcell,
        host_public_key=row.host_public_key,
        login_user=row.login_user,
        networks=row.networks,
        created_at=row.created_at,
    )

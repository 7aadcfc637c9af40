"""The class the director loads: the CPI protocol's methods over rows in memory."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from cpis.contract import (
    CloudError,
    CpiInfo,
    DiskNotAttached,
    Json,
    Networks,
    NotSupportedByCpi,
    VmCreationFailed,
)
from cpis.memory.cloud import Cloud, Row
from cpis.memory.faults import Fault, FaultBook, FaultKind, read_faults
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

_PROPERTIES = ("faults", "state_file", "prefix", "director_id", "root")
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as the log keeps it; ``error`` is empty when it succeeded."""

    method: str
    arguments: tuple[Any, ...] = field(repr=False)
    error: str = ""


def _logged(
    method: Callable[Concatenate[MemoryCpi, P], R],
) -> Callable[Concatenate[MemoryCpi, P], R]:
    """Let a method suffer the faults ordered for it, and keep the call in the log."""

    @functools.wraps(method)
    def call(self: MemoryCpi, /, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments = (*args, *kwargs.values())
        texts = tuple(a for a in arguments if isinstance(a, str))
        struck = self.faults.strike(method.__name__, texts)
        error = ""
        try:
            for fault in struck:
                if fault.kind is FaultKind.DELAY:
                    self._sleep(fault.delay_s)
                elif fault.kind is FaultKind.FAIL:
                    raise fault.error()
            with self._cloud.held():
                result = method(self, *args, **kwargs)
                for fault in struck:
                    if fault.kind is FaultKind.VM_DIES and isinstance(result, tuple):
                        self.kill_vm(result[0])
            for fault in struck:
                if fault.kind is FaultKind.FAIL_AFTER:
                    raise fault.error()
        except CloudError as caught:
            error = str(caught)
            raise
        finally:
            with self._log_lock:
                self._calls.append(Call(method=method.__name__, arguments=arguments, error=error))
        return result

    return call


class MemoryCpi:
    """A cloud in memory; satisfies :class:`cpis.contract.Cpi`.

    Deterministic: CIDs are counted up, after ``prefix``. Properties: that, ``state_file`` (a path;
    the cloud is kept there and shared with other processes that name it) and ``faults`` (see
    :class:`Fault`).
    """

    def __init__(
        self, properties: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        for key in properties:
            if key not in _PROPERTIES:
                raise CloudError(
                    f"the memory CPI has an unknown property '{key}'",
                    fix=f"known: {', '.join(_PROPERTIES)}",
                )
        file = properties.get("state_file")
        self._cloud = Cloud(Path(file) if file else None)
        self._prefix = str(properties.get("prefix") or "")
        self._sleep = sleep
        self._calls: list[Call] = []
        self._log_lock = threading.Lock()
        self.faults = FaultBook(read_faults(properties.get("faults") or ()))

    # -- for tests ------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Order a failure; calls are counted from now on."""
        self.faults.add(fault)

    def calls(self, method: str | None = None) -> list[Call]:
        """Return the calls so far, of one method or of all, in the order they ended."""
        with self._log_lock:
            return [c for c in self._calls if method is None or c.method == method]

    @property
    def vms(self) -> dict[str, Row]:
        """Every VM by CID: agent_id, stemcell, cloud_properties, networks, running, metadata."""
        with self._cloud.held():
            return dict(self._cloud.rows["vms"])

    @property
    def disks(self) -> dict[str, Row]:
        """Every disk by CID: size_mb, token, vm, cloud_properties, metadata."""
        with self._cloud.held():
            return dict(self._cloud.rows["disks"])

    @property
    def stemcells(self) -> dict[str, Row]:
        """Every stemcell by CID."""
        with self._cloud.held():
            return dict(self._cloud.rows["stemcells"])

    def kill_vm(self, cid: VmCid) -> None:
        """Let a VM die: it is still there and does not run."""
        with self._cloud.held():
            self._cloud.put("vms", cid, {**self._cloud.vm(cid), "running": False})

    def lose_vm(self, cid: VmCid) -> None:
        """Let a VM vanish behind everybody's back; its disks are free."""
        with self._cloud.held():
            self._cloud.remove_vm(cid)

    def is_running(self, cid: VmCid) -> bool:
        """Tell whether a VM is there and runs."""
        with self._cloud.held():
            return bool(self._cloud.rows["vms"].get(cid, {}).get("running"))

    def _new_cid(self, kind: str) -> str:
        return f"{self._prefix}{kind}-{self._cloud.next_number(kind)}"

    # -- the protocol ---------------------------------------------------------------------------

    @_logged
    def info(self) -> CpiInfo:
        return CpiInfo(api_version=2, stemcell_formats=("memory", "director-rootfs"))

    @_logged
    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:
        cid = StemcellCid(self._new_cid("stemcell"))
        row = {"image": image_path, "cloud_properties": dict(cloud_properties)}
        self._cloud.put("stemcells", cid, row)
        return cid

    @_logged
    def delete_stemcell(self, cid: StemcellCid) -> None:
        for vm, row in self._cloud.rows["vms"].items():
            if row["stemcell"] == cid:
                raise CloudError(f"the stemcell '{cid}' is in use by the VM '{vm}'")
        self._cloud.drop("stemcells", cid)

    @_logged
    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],
        env: Json,  # noqa: ARG002 -- holds secrets and decides nothing here
    ) -> tuple[VmCid, Networks]:
        there = self._cloud.vm_of_agent.get(agent_id)
        if there is not None:
            return VmCid(there), self._cloud.rows["vms"][there]["networks"]
        if stemcell_cid not in self._cloud.rows["stemcells"]:
            raise VmCreationFailed(f"there is no stemcell '{stemcell_cid}'")
        for disk in disk_cids:
            self._cloud.disk(disk)
        given = {name: self._cloud.addressed(name, network) for name, network in networks.items()}
        cid = VmCid(self._new_cid("vm"))
        self._cloud.put(
            "vms",
            cid,
            {
                "agent_id": agent_id,
                "stemcell": stemcell_cid,
                "cloud_properties": dict(cloud_properties),
                "networks": given,
                "running": True,
                "reboots": 0,
                "metadata": {},
            },
        )
        return cid, given

    @_logged
    def delete_vm(self, cid: VmCid) -> None:
        self._cloud.remove_vm(cid)

    @_logged
    def has_vm(self, cid: VmCid) -> bool:
        return cid in self._cloud.rows["vms"]

    @_logged
    def reboot_vm(self, cid: VmCid) -> None:
        row = self._cloud.vm(cid)
        self._cloud.put("vms", cid, {**row, "running": True, "reboots": row["reboots"] + 1})

    @_logged
    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        self._cloud.put("vms", cid, {**self._cloud.vm(cid), "metadata": dict(metadata)})

    @_logged
    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        return dict(requirements)

    @_logged
    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        if token and token in self._cloud.disk_of_token:
            return DiskCid(self._cloud.disk_of_token[token])
        if size_mb <= 0:
            raise CloudError(f"a disk of {size_mb} MiB cannot be made", fix="use a size above 0")
        if vm_cid is not None:
            self._cloud.vm(vm_cid)
        cid = DiskCid(self._new_cid("disk"))
        row = {"size_mb": size_mb, "token": token, "vm": None, "metadata": {}}
        self._cloud.put("disks", cid, {**row, "cloud_properties": dict(cloud_properties)})
        return cid

    @_logged
    def delete_disk(self, cid: DiskCid) -> None:
        row = self._cloud.rows["disks"].get(cid)
        if row is not None and row["vm"]:
            raise CloudError(f"the disk '{cid}' is attached to the VM '{row['vm']}'")
        self._cloud.drop("disks", cid)

    @_logged
    def has_disk(self, cid: DiskCid) -> bool:
        return cid in self._cloud.rows["disks"]

    @_logged
    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        self._cloud.vm(vm_cid)
        row = self._cloud.disk(disk_cid)
        if row["vm"] not in (None, vm_cid):
            raise CloudError(f"the disk '{disk_cid}' is attached to the VM '{row['vm']}'")
        self._cloud.put("disks", disk_cid, {**row, "vm": vm_cid})
        return f"/dev/memory/{disk_cid}"

    @_logged
    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        self._cloud.vm(vm_cid)
        row = self._cloud.disk(disk_cid)
        if row["vm"] != vm_cid:
            raise DiskNotAttached(f"the disk '{disk_cid}' is not attached to '{vm_cid}'")
        self._cloud.put("disks", disk_cid, {**row, "vm": None})

    @_logged
    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        row = self._cloud.disk(cid)
        if size_mb < row["size_mb"]:
            raise NotSupportedByCpi(f"the disk '{cid}' cannot shrink to {size_mb} MiB")
        self._cloud.put("disks", cid, {**row, "size_mb": size_mb})

    @_logged
    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        row = self._cloud.disk(cid)
        if size_mb < row["size_mb"]:
            raise NotSupportedByCpi(f"the disk '{cid}' cannot shrink to {size_mb} MiB")
        changed = {"size_mb": size_mb, "cloud_properties": dict(cloud_properties)}
        self._cloud.put("disks", cid, {**row, **changed})
        return None

    @_logged
    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        self._cloud.put("disks", cid, {**self._cloud.disk(cid), "metadata": dict(metadata)})

    @_logged
    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        self._cloud.vm(vm_cid)
        return [DiskCid(cid) for cid in self._cloud.disks_of_vm.get(vm_cid, ())]

    @_logged
    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        self._cloud.disk(cid)
        snapshot = SnapshotCid(self._new_cid("snapshot"))
        self._cloud.put("snapshots", snapshot, {"disk": cid, "metadata": dict(metadata)})
        return snapshot

    @_logged
    def delete_snapshot(self, cid: SnapshotCid) -> None:
        self._cloud.drop("snapshots", cid)

    @_logged
    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        cid = self._cloud.vm_of_agent.get(agent_id)
        return None if cid is None else VmCid(cid)

    @_logged
    def find_disk(self, token: str) -> DiskCid | None:
        cid = self._cloud.disk_of_token.get(token)
        return None if cid is None else DiskCid(cid)

    @_logged
    def console_output(self, cid: VmCid) -> str:
        return "booting\nready\n" if self._cloud.vm(cid)["running"] else "booting\n"

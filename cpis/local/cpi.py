"""The class the director loads: the CPI protocol's methods over machines, disks and images."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    CpiInfo,
    DiskNotAttached,
    Json,
    Networks,
    VmCreationFailed,
)
from cpis.local.bridges import Bridges
from cpis.local.disks import Disks
from cpis.local.images import unpack_image
from cpis.local.leftovers import register, remove_everything
from cpis.local.machines import CREATING, Machines, VmRecord
from cpis.local.properties import read_settings, read_vm_properties, refuse_unknown
from cpis.local.runtime import is_mounted, make_node, remove_node
from cpis.local.runtimes import LazyRuntime
from cpis.local.state import remove_tree
from director.model.errors import CpiError
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid


class LocalCpi:
    """Isolated machines on this host; satisfies :class:`cpis.contract.Cpi`.

    Properties: ``root`` (a directory for all its state), ``director_id`` (labels all it makes) and
    ``runtime`` (``lxc``, ``unshare`` or ``auto``). Threads and processes may share one root.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        settings = read_settings(properties)
        self.properties: Mapping[str, Any] = dict(properties)
        self._root: Path = settings.root
        self._director_id = settings.director_id
        self._bridges = Bridges(settings.root / "networks", settings.director_id)
        self._disks = Disks(settings.root)
        self._machines = Machines(
            settings.root,
            settings.director_id,
            LazyRuntime(settings.runtime),
            self._bridges,
            self._disks,
        )

    def info(self) -> CpiInfo:
        return CpiInfo(api_version=2, stemcell_formats=("director-rootfs",))

    # -- stemcells ------------------------------------------------------------------------------

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:  # noqa: ARG002 -- a stemcell's cloud properties speak of other clouds
        register(self._root, self._director_id)
        return unpack_image(self._root / "stemcells", image_path)

    def delete_stemcell(self, cid: StemcellCid) -> None:
        if "/" in cid or not cid.startswith("stemcell-"):
            return
        users = self._machines.of_stemcell(cid)
        if users:
            raise CloudError(f"the stemcell '{cid}' is in use by the VM '{users[0]}'")
        remove_tree(self._root / "stemcells" / cid)

    # -- VMs ------------------------------------------------------------------------------------

    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],  # noqa: ARG002 -- where disks are matters to other clouds
        env: Json,
    ) -> tuple[VmCid, Networks]:
        limits = read_vm_properties(cloud_properties)
        self._machines.image(stemcell_cid)
        register(self._root, self._director_id)
        cid = self._machines.cid_of(agent_id)
        with self._machines.lock(cid):
            there = self._machines.settle(cid)
            if there is not None:
                if self._machines.init_pid(cid) is None:
                    self._machines.boot(cid, there)
                return cid, there.networks
            wanted = VmRecord(
                state=CREATING, agent_id=agent_id, stemcell=stemcell_cid, limits=limits
            )
            try:
                return cid, self._machines.create(cid, wanted, networks, env)
            except CloudError as error:
                # Creation cleans up after itself and is named by the agent id: trying again cannot
                # make a second VM. Whether it can help is what the cause says.
                raise VmCreationFailed(
                    error.what, ok_to_retry=error.ok_to_retry, fix=error.fix
                ) from error
            except (CpiError, OSError) as error:
                raise VmCreationFailed(str(error)) from error

    def delete_vm(self, cid: VmCid) -> None:
        if not cid.startswith("vm-") or "/" in cid:
            return
        with self._machines.lock(cid):
            self._machines.remove(cid)
            self._machines.forget_lock(cid)

    def has_vm(self, cid: VmCid) -> bool:
        if not cid.startswith("vm-") or "/" in cid:
            return False
        with self._machines.lock(cid):
            return self._machines.settle(cid) is not None

    def reboot_vm(self, cid: VmCid) -> None:
        self._machines.get(cid)
        with self._machines.lock(cid):
            record = self._machines.get(cid)
            self._machines.halt(cid, clean=True)
            self._machines.boot(cid, record)

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        self._machines.get(cid)
        with self._machines.lock(cid):
            self._machines.get(cid)
            self._machines.set_metadata(cid, metadata)

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        names = {"cpu": "cpu", "ram": "memory", "ephemeral_disk_size": "ephemeral_disk"}
        refuse_unknown("vm_resources", requirements, tuple(names))
        return {names[key]: value for key, value in requirements.items()}

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        cid = self._machines.cid_of(agent_id)
        return cid if self.has_vm(cid) else None

    def console_output(self, cid: VmCid) -> str:
        self._machines.get(cid)
        return self._machines.console(cid)

    # -- disks ----------------------------------------------------------------------------------

    def create_disk(
        self,
        size_mb: int,
        cloud_properties: Json,
        vm_cid: VmCid | None,  # noqa: ARG002 -- every disk of a host is near every VM
        *,
        token: str = "",
    ) -> DiskCid:
        refuse_unknown("disk", cloud_properties, ())
        if size_mb <= 0:
            raise CloudError(f"a disk of {size_mb} MiB cannot be made", fix="use a size above 0")
        register(self._root, self._director_id)
        text = f"{self._director_id} {token}" if token else secrets.token_hex(16)
        cid = DiskCid(f"disk-{hashlib.sha256(text.encode()).hexdigest()[:16]}")
        with self._disks.lock(cid):
            self._disks.create(cid, size_mb, token)
        return cid

    def delete_disk(self, cid: DiskCid) -> None:
        if not self.has_disk(cid):
            return
        with self._disks.lock(cid):
            try:
                record = self._disks.get(cid)
            except CloudDiskNotFound:
                return
            if record.vm is not None:
                raise CloudError(
                    f"the disk '{cid}' is attached to the VM '{record.vm}'", fix="detach it first"
                )
            self._disks.delete(cid)

    def has_disk(self, cid: DiskCid) -> bool:
        return "/" not in cid and self._disks.exists(cid)

    def find_disk(self, token: str) -> DiskCid | None:
        digest = hashlib.sha256(f"{self._director_id} {token}".encode()).hexdigest()
        cid = DiskCid(f"disk-{digest[:16]}")
        return cid if self._disks.exists(cid) else None

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        self._machines.get(vm_cid)
        self._disks.get(disk_cid)
        with self._machines.lock(vm_cid), self._disks.lock(disk_cid):
            self._machines.get(vm_cid)
            record = self._disks.get(disk_cid)
            if record.vm not in (None, vm_cid):
                raise CloudError(
                    f"the disk '{disk_cid}' is attached to the VM '{record.vm}'",
                    fix="detach it there first",
                )
            self._disks.save(disk_cid, vm=vm_cid)
            device = self._disks.open_device(disk_cid)
            init_pid = self._machines.init_pid(vm_cid)
            if init_pid is not None:
                self._machines.allow(vm_cid, device)
                make_node(init_pid, device)
        return f"/dev/director/{disk_cid}"

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        self._machines.get(vm_cid)
        self._disks.get(disk_cid)
        with self._machines.lock(vm_cid), self._disks.lock(disk_cid):
            if self._disks.get(disk_cid).vm != vm_cid:
                raise DiskNotAttached(f"the disk '{disk_cid}' is not attached to '{vm_cid}'")
            device = self._disks.device(disk_cid)
            init_pid = self._machines.init_pid(vm_cid)
            if device is not None and init_pid is not None:
                if is_mounted(init_pid, device):
                    raise CloudError(
                        f"the disk '{disk_cid}' is still mounted in the VM '{vm_cid}'",
                        ok_to_retry=True,
                        fix="unmount it first",
                    )
                remove_node(init_pid, device)
                self._machines.deny(vm_cid, device)
            self._machines.let_go(disk_cid)

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        self._disks.get(cid)
        with self._disks.lock(cid):
            self._disks.resize(cid, size_mb)

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        refuse_unknown("disk", cloud_properties, ())
        self.resize_disk(cid, size_mb)
        return None

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        self._disks.get(cid)
        with self._disks.lock(cid):
            self._disks.get(cid)
            self._disks.save(cid, metadata=dict(metadata))

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        self._machines.get(vm_cid)
        return self._disks.of_vm(vm_cid)

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        self._disks.get(cid)
        with self._disks.lock(cid):
            return self._disks.snapshot(cid, metadata)

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        self._disks.delete_snapshot(cid)

    # -- clean-up -------------------------------------------------------------------------------

    def destroy_all(self) -> None:
        """Remove every VM, disk, bridge, rule and file this director has on this host."""
        remove_everything(self._root, self._director_id, self._machines, self._bridges)

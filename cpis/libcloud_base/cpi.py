"""A CPI for any cloud of libcloud: the protocol's promises, kept over a provider's functions.

Here is what all such clouds have in common: names that follow from intents, so that a call repeated
after a crash finds what the first one made; an error that is looked into before it is passed on;
waiting until a thing is there or gone; nothing left of what failed half-way. What differs is a
:class:`~cpis.libcloud_base.provider.Provider`, which this class is given. It is not made to be
inherited from: a cloud's entry point is a function that returns ``LibcloudCpi(provider)``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    CpiInfo,
    DiskNotAttached,
    Json,
    Networks,
    NotSupportedByCpi,
    VmCreationFailed,
    VmNotFound,
)
from cpis.libcloud_base.outcome import Turns, act, obtain
from cpis.libcloud_base.provider import (
    Disk,
    Provider,
    Size,
    Vm,
    WantedDisk,
    WantedVm,
    gb_of,
    name_of,
)
from cpis.libcloud_base.user_data import host_name, user_data
from cpis.properties import check_properties, object_schema
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

_log = logging.getLogger(__name__)
T = TypeVar("T")

_REQUIREMENTS = object_schema(
    {
        "cpu": {"type": "number", "minimum": 1, "description": "processors"},
        "ram": {"type": "integer", "minimum": 1, "description": "memory in MiB"},
        "ephemeral_disk_size": {"type": "integer", "minimum": 0, "description": "disk in MiB"},
    }
)


class LibcloudCpi:
    """One cloud; satisfies :class:`cpis.contract.Cpi`. Thread-safe as the provider's calls are."""

    def __init__(
        self, provider: Provider, *, new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self.provider = provider
        self._new_id = new_id
        self._turns = Turns()

    def info(self) -> CpiInfo:
        return CpiInfo(api_version=2, stemcell_formats=self.provider.stemcell_formats)

    # -- stemcells ------------------------------------------------------------------------------

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:  # noqa: ARG002 -- images are in the cloud already
        return self.provider.stemcell(cloud_properties)

    def delete_stemcell(self, cid: StemcellCid) -> None:
        """Do nothing: the image was there before, and stays."""

    # -- VMs ------------------------------------------------------------------------------------

    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],
        env: Json,
    ) -> tuple[VmCid, Networks]:
        self._check(cloud_properties, networks)
        wanted = WantedVm(
            name=name_of("vm", agent_id),
            agent_id=agent_id,
            stemcell=stemcell_cid,
            properties=cloud_properties,
            networks=networks,
            user_data=user_data(hostname=host_name(agent_id), env=env),
            disks=tuple(self._disk(cid) for cid in disk_cids),
        )
        try:
            with self._turns.take(wanted.name):
                vm = self._started(
                    obtain(
                        self.provider.calls,
                        lambda: self.provider.create_vm(wanted),
                        lambda: self.provider.vm_named(wanted.name),
                        look_first=not self.provider.unique_names,
                        discard=self._discarded,
                    )
                )
        except VmCreationFailed:
            raise
        except CloudError as error:
            raise VmCreationFailed(
                error.what, ok_to_retry=error.ok_to_retry, fix=error.fix
            ) from error
        return vm.cid, addressed(networks, vm)

    def delete_vm(self, cid: VmCid) -> None:
        vm = self.provider.vm(cid)
        if vm is not None:
            self._remove(vm)

    def has_vm(self, cid: VmCid) -> bool:
        return self.provider.vm(cid) is not None

    def reboot_vm(self, cid: VmCid) -> None:
        self.provider.reboot_vm(self._vm(cid))
        self._until("rebooting the VM", lambda: self._running(cid))

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        self.provider.label_vm(self._vm(cid), metadata)

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        check_properties("vm_resources", _REQUIREMENTS, requirements)
        cpu, ram_mb = requirements.get("cpu", 1), requirements.get("ram", 1)
        fitting = [s for s in self._sizes if s.cpu >= cpu and s.ram_mb >= ram_mb]
        if not fitting:
            raise CloudError(
                f"{self.provider.title} has no size with {cpu} CPUs and {ram_mb} MiB of memory",
                fix="ask for less, or name a size in cloud_properties",
            )
        best = min(fitting, key=lambda s: (s.rank, s.ram_mb, s.cpu, s.name))
        return self.provider.size_properties(best, requirements.get("ephemeral_disk_size", 0))

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        vm = self.provider.vm_named(name_of("vm", agent_id))
        return vm.cid if vm is not None else None

    def console_output(self, cid: VmCid) -> str:
        return self.provider.console(self._vm(cid))

    # -- disks ----------------------------------------------------------------------------------

    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        check_properties("disk", self.provider.disk_schema, cloud_properties)
        if size_mb <= 0:
            raise CloudError(f"a disk of {size_mb} MiB cannot be made", fix="use a size above 0")
        wanted = WantedDisk(
            name=name_of("disk", token or self._new_id()),
            size_gb=gb_of(size_mb),
            properties=cloud_properties,
            near=self._vm(vm_cid) if vm_cid is not None else None,
        )
        with self._turns.take(wanted.name):
            disk = obtain(
                self.provider.calls,
                lambda: self.provider.create_disk(wanted),
                lambda: self.provider.disk_named(wanted.name),
                look_first=bool(token) and not self.provider.unique_names,
            )
            if not disk.ready:
                self._until("making the disk", lambda: self._ready(disk.cid))
        return disk.cid

    def delete_disk(self, cid: DiskCid) -> None:
        disk = self.provider.disk(cid)
        if disk is None:
            return
        if disk.holder is not None:
            raise CloudError(
                f"the disk '{cid}' is attached to the VM '{disk.holder}'", fix="detach it first"
            )
        act(lambda: self.provider.delete_disk(disk), lambda: not self.has_disk(cid))
        self._until("deleting the disk", lambda: None if self.has_disk(cid) else True)

    def has_disk(self, cid: DiskCid) -> bool:
        return self.provider.disk(cid) is not None

    def find_disk(self, token: str) -> DiskCid | None:
        disk = self.provider.disk_named(name_of("disk", token))
        return disk.cid if disk is not None else None

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        vm, disk = self._vm(vm_cid), self._disk(disk_cid)
        if disk.holder not in (None, vm_cid):
            raise CloudError(
                f"the disk '{disk_cid}' is attached to the VM '{disk.holder}'",
                fix="detach it there first",
            )
        if disk.holder is None:
            act(
                lambda: self.provider.attach(vm, disk),
                lambda: self._disk(disk_cid).holder == vm_cid,
            )
        return self.provider.device(vm, disk)

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        vm, disk = self._vm(vm_cid), self._disk(disk_cid)
        if disk.holder != vm_cid:
            raise DiskNotAttached(f"the disk '{disk_cid}' is not attached to '{vm_cid}'")
        act(lambda: self.provider.detach(vm, disk), lambda: self._disk(disk_cid).holder is None)

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        disk, size_gb = self._disk(cid), gb_of(size_mb)
        grow = self.provider.grow
        if grow is None or size_gb < disk.size_gb:
            raise NotSupportedByCpi(
                f"the disk '{cid}' of {disk.size_gb} GiB cannot become one of {size_gb} GiB"
            )
        if size_gb > disk.size_gb:
            act(lambda: grow(disk, size_gb), lambda: self._disk(cid).size_gb >= size_gb)

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        check_properties("disk", self.provider.disk_schema, cloud_properties)
        if not self.provider.same_kind(self._disk(cid), cloud_properties):
            raise NotSupportedByCpi(f"the disk '{cid}' cannot become one of another kind")
        self.resize_disk(cid, size_mb)
        return None

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        self.provider.label_disk(self._disk(cid), metadata)

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        return self.provider.disks_of(self._vm(vm_cid))

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        name = name_of("snapshot", self._new_id())
        return self.provider.snapshot(self._disk(cid), name, metadata)

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        self.provider.delete_snapshot(cid)

    # -- how ------------------------------------------------------------------------------------

    @cached_property
    def _sizes(self) -> Sequence[Size]:
        return self.provider.sizes()

    def _check(self, cloud_properties: Json, networks: Networks) -> None:
        check_properties("VM", self.provider.vm_schema, cloud_properties)
        for name, network in networks.items():
            properties = network.get("cloud_properties") or {}
            check_properties(f"network '{name}'", self.provider.network_schema, properties)

    def _vm(self, cid: VmCid) -> Vm:
        vm = self.provider.vm(cid)
        if vm is None:
            raise VmNotFound(f"there is no VM '{cid}'")
        return vm

    def _disk(self, cid: DiskCid) -> Disk:
        disk = self.provider.disk(cid)
        if disk is None:
            raise CloudDiskNotFound(f"there is no disk '{cid}'")
        return disk

    def _running(self, cid: VmCid) -> Vm | None:
        vm = self._vm(cid)
        return vm if vm.running else None

    def _ready(self, cid: DiskCid) -> Disk | None:
        disk = self._disk(cid)
        return disk if disk.ready else None

    def _until(self, doing: str, look: Callable[[], T | None]) -> T:
        return self.provider.calls.until(doing, look, timeout_s=self.provider.wait_s)

    def _discarded(self, vm: Vm) -> bool:
        """Remove a VM that will never run; tells whether it was one."""
        if vm.broken:
            self._remove(vm)
        return vm.broken

    def _started(self, vm: Vm) -> Vm:
        """Return the VM once it runs; if it never does, remove it and raise.

        With nothing left of it, another try makes one VM.
        """

        def look() -> Vm | None:
            if vm.running:
                return vm
            now = self._vm(vm.cid)
            if now.broken:
                raise VmCreationFailed(f"the VM '{vm.cid}' did not start")
            return now if now.running else None

        try:
            return self._until("starting the VM", look)
        except CloudError as error:
            try:
                self._remove(vm)
                error.ok_to_retry = True
            except CloudError as left:
                error.ok_to_retry = False
                _log.warning("the VM '%s' did not start and cannot be deleted: %s", vm.cid, left)
            raise

    def _remove(self, vm: Vm) -> None:
        act(lambda: self.provider.delete_vm(vm), lambda: not self.has_vm(vm.cid))
        self._until("deleting the VM", lambda: None if self.has_vm(vm.cid) else True)


def addressed(networks: Networks, vm: Vm) -> Networks:
    """Return the networks with the address the VM has on each; vip networks are as given."""
    addresses = iter(vm.addresses)
    found: dict[str, Mapping[str, Any]] = {}
    for name, network in networks.items():
        if network.get("type") == "vip":
            found[name] = network
        else:
            ip = next(addresses, None) or network.get("ip")
            found[name] = {**network, "ip": ip} if ip else network
    return found

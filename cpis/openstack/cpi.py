"""The class the director loads: the CPI protocol's methods over Nova, Neutron, Cinder, Glance."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cpis.contract import CpiInfo, Json, Networks
from cpis.libcloud_base.calls import Calls, Patience
from cpis.openstack import flavors, images, servers, volumes
from cpis.openstack.api import Api, Cloud, Remembered
from cpis.openstack.judge import judge
from cpis.openstack.properties import Settings, read_settings
from cpis.openstack.session import Session, Token
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

if TYPE_CHECKING:
    from cpis.openstack.transport import Driver


class OpenStackCpi:
    """One OpenStack project; satisfies :class:`cpis.contract.Cpi`. Nothing is asked until used.

    ``patience``: how long requests that OpenStack refuses for now are tried again. The other
    parameters are for tests.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        settings = read_settings(properties)
        ca_file = _CaFile(settings)

        def authenticate() -> Token:
            # Imported with the first request: libcloud's OpenStack takes a while.
            from cpis.openstack.keystone import ask_keystone

            return ask_keystone(settings, ca_file.path())

        def make_driver() -> Driver:
            from cpis.openstack.transport import Driver

            return Driver(session, settings, ca_file.path())

        session = Session(authenticate, time.time)
        self._cloud = Cloud(
            api=Api(Calls(make_driver, judge, patience=patience)),
            settings=settings,
            session=session,
            new_id=new_id,
            flavors=Remembered(clock),
            ids=Remembered(clock),
        )

    def info(self) -> CpiInfo:
        return CpiInfo(api_version=2, stemcell_formats=images.FORMATS)

    # -- stemcells ------------------------------------------------------------------------------

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:
        return images.create(self._cloud, image_path, cloud_properties)

    def delete_stemcell(self, cid: StemcellCid) -> None:
        images.delete(self._cloud, cid)

    # -- VMs ------------------------------------------------------------------------------------

    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],  # noqa: ARG002 -- a VM's zone is the operator's choice
        env: Json,
    ) -> tuple[VmCid, Networks]:
        return servers.create(self._cloud, agent_id, stemcell_cid, cloud_properties, networks, env)

    def delete_vm(self, cid: VmCid) -> None:
        servers.delete(self._cloud, cid)

    def has_vm(self, cid: VmCid) -> bool:
        return servers.look(self._cloud, cid) is not None

    def reboot_vm(self, cid: VmCid) -> None:
        servers.reboot(self._cloud, cid)

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        servers.label(self._cloud, cid, metadata)

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        return flavors.calculate(self._cloud, requirements)

    def console_output(self, cid: VmCid) -> str:
        return servers.console(self._cloud, cid)

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        """Return the VM made for this agent id, or None; ports left of one never made are gone."""
        server = servers.find(self._cloud, agent_id)
        if server is None:
            servers.delete_ports(self._cloud, agent_id)
            return None
        return VmCid(server["id"])

    # -- disks ----------------------------------------------------------------------------------

    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        return volumes.create(self._cloud, size_mb, cloud_properties, vm_cid, token)

    def delete_disk(self, cid: DiskCid) -> None:
        volumes.delete(self._cloud, cid)

    def has_disk(self, cid: DiskCid) -> bool:
        volume = volumes.look(self._cloud, cid)
        return volume is not None and volume["status"] != "deleting"

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        return volumes.attach(self._cloud, vm_cid, disk_cid)

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        volumes.detach(self._cloud, vm_cid, disk_cid)

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        volumes.change(self._cloud, cid, size_mb, None)

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        volumes.change(self._cloud, cid, size_mb, cloud_properties)
        return None

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        volumes.label(self._cloud, cid, metadata)

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        return volumes.of_server(self._cloud, vm_cid)

    def find_disk(self, token: str) -> DiskCid | None:
        volume = volumes.find(self._cloud, token)
        return None if volume is None else DiskCid(volume["id"])

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        return volumes.snapshot(self._cloud, cid, metadata)

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        volumes.delete_snapshot(self._cloud, cid)


class _CaFile:
    """The file with the CA certificates; those given as text are written to one that goes with us.

    libcloud's HTTP library takes a path only.
    """

    def __init__(self, settings: Settings) -> None:
        self._tls = settings.tls
        self._written: Any = None
        self._lock = threading.Lock()

    def path(self) -> str | None:
        """Return the path, or None where the system's CAs are to be used."""
        if self._tls.ca_text is None:
            return os.path.expanduser(self._tls.ca_file) if self._tls.ca_file else None
        with self._lock:
            if self._written is None:
                self._written = tempfile.NamedTemporaryFile("w", suffix=".pem")  # noqa: SIM115
                self._written.write(self._tls.ca_text)
                self._written.flush()
            return str(self._written.name)

"""The class the director loads: the CPI protocol's methods over EC2."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpis.aws import boto, disks, instances, modify, snapshots, stemcells
from cpis.aws.create import create_vm
from cpis.aws.credentials import credentials_source
from cpis.aws.ec2 import Ec2, Recent
from cpis.aws.errors import judge
from cpis.aws.properties import Ebs, read_disk, read_settings
from cpis.aws.sizes import sizes_of, vm_properties
from cpis.contract import CpiInfo, Json, Networks, VmCreationFailed
from cpis.libcloud_base.calls import Calls, Patience
from director.model.errors import CpiError
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

if TYPE_CHECKING:
    from cpis.aws.wire import Wire


class AwsCpi:
    """Instances, volumes and snapshots of one region; satisfies :class:`cpis.contract.Cpi`.

    Properties: see the README. Building it asks nobody; libcloud is imported by the first request.
    ``sleep`` is for tests.
    """

    def __init__(
        self, properties: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings = read_settings(properties)
        self._keys = credentials_source(self._settings, os.environ, Path.home(), time.time)
        recent = Recent()
        calls = Calls(
            self._wire,
            judge(lambda cid: cid in recent),
            patience=Patience(tries=self._settings.max_retries),
            sleep=sleep,
        )
        self._ec2 = Ec2(
            settings=self._settings,
            calls=calls,
            recent=recent,
            sleep=sleep,
            new_id=lambda: str(uuid.uuid4()),
        )

    def _wire(self) -> Wire:
        from cpis.aws.wire import Wire

        return Wire(self._settings, self._keys.current)

    def _boto(self, service: str) -> Any:
        return boto.client(self._settings, self._keys.current(), service)

    def info(self) -> CpiInfo:
        return CpiInfo(api_version=2, stemcell_formats=("aws-light", "aws-raw"))

    # -- stemcells ------------------------------------------------------------------------------

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:
        return stemcells.create(self._ec2, lambda: self._boto("ebs"), image_path, cloud_properties)

    def delete_stemcell(self, cid: StemcellCid) -> None:
        stemcells.delete(self._ec2, cid)

    # -- VMs ------------------------------------------------------------------------------------

    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],  # noqa: ARG002 -- the subnet decides the zone
        env: Json,
    ) -> tuple[VmCid, Networks]:
        try:
            ami = stemcells.ami_of(stemcell_cid)
        except CpiError as error:
            raise VmCreationFailed(error.what, fix=error.fix) from error
        return create_vm(
            self._ec2,
            self._boto,
            agent_id=agent_id,
            ami=ami,
            cloud_properties=cloud_properties,
            networks=networks,
            env=env,
        )

    def delete_vm(self, cid: VmCid) -> None:
        instances.terminate(self._ec2, cid)

    def has_vm(self, cid: VmCid) -> bool:
        return instances.has(self._ec2, cid)

    def reboot_vm(self, cid: VmCid) -> None:
        instances.reboot(self._ec2, cid)

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        instances.set_metadata(self._ec2, cid, metadata)

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        return vm_properties(requirements, sizes_of(self._settings.region))

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        found = instances.find(self._ec2, agent_id)
        return None if found is None else VmCid(found.findtext("instanceId") or "")

    def console_output(self, cid: VmCid) -> str:
        return instances.console(self._ec2, cid)

    # -- disks ----------------------------------------------------------------------------------

    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        properties = read_disk(self._settings, cloud_properties, size_mb)
        return disks.create(self._ec2, properties, vm_cid, token=token)

    def delete_disk(self, cid: DiskCid) -> None:
        disks.delete(self._ec2, cid)

    def has_disk(self, cid: DiskCid) -> bool:
        return disks.has(self._ec2, cid)

    def find_disk(self, token: str) -> DiskCid | None:
        return disks.find(self._ec2, token)

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        return disks.attach(self._ec2, vm_cid, disk_cid)

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        disks.detach(self._ec2, vm_cid, disk_cid)

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        modify.resize(self._ec2, cid, size_mb)

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        wanted: Ebs = read_disk(self._settings, cloud_properties, size_mb).ebs
        modify.update(self._ec2, cid, wanted)
        return None

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        disks.set_metadata(self._ec2, cid, metadata)

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        return instances.persistent_disks(self._ec2, vm_cid)

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        return snapshots.create(self._ec2, cid, metadata)

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        snapshots.delete(self._ec2, cid)

"""The class the director loads: the CPI protocol's methods, each a run of the executable."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cpis.contract import (
    CloudDiskNotFound,
    CpiInfo,
    Json,
    Networks,
    NotImplementedByCpi,
    VmNotFound,
)
from cpis.external.disk_hints import device_hint
from cpis.external.program import Program
from cpis.external.properties import CPI_SCHEMA
from cpis.properties import check_properties
from cpis.rpc.methods import METHODS
from cpis.rpc.protocol import VERSION
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

_log = logging.getLogger("cpis.external")


class ExternalCpi:
    """Any executable that speaks BOSH's CPI protocol, 1 or 2; satisfies ``cpis.contract.Cpi``.

    Each call is a process of its own, and threads do not wait for each other. Properties:
    ``exec_path``, and optionally ``arguments``, ``type``, ``director_uuid``, ``properties``,
    ``timeout`` (seconds) and ``stemcell_api_version``. An executable whose ``info`` has
    ``director`` knows what BOSH's protocol does not: host keys, and finding what a crash left.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        check_properties("external CPI", CPI_SCHEMA, properties)
        path = str(properties["exec_path"])
        self._program = Program(
            command=(os.path.abspath(path), *(properties.get("arguments") or ())),
            name=str(properties.get("type") or os.path.basename(path)),
            properties=dict(properties.get("properties") or {}),
            director_uuid=str(properties.get("director_uuid") or ""),
            stemcell_api_version=int(properties.get("stemcell_api_version") or 2),
            timeout_s=float(properties.get("timeout") or 3600),
        )
        self._info: CpiInfo | None = None

    def info(self) -> CpiInfo:
        """Return what the executable says of itself; it is asked until it has answered once."""
        if self._info is None:
            self._info = self._ask_info()
        return self._info

    # -- stemcells ------------------------------------------------------------------------------

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid:
        return StemcellCid(self._ask("create_stemcell", image_path, cloud_properties))

    def delete_stemcell(self, cid: StemcellCid) -> None:
        self._ask("delete_stemcell", cid)

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
        known = env if self.info().host_keys else _without_host_key(env)
        made = self._ask(
            "create_vm", agent_id, stemcell_cid, cloud_properties, networks, disk_cids, known
        )
        cid, *more = [made] if isinstance(made, str) else made
        return VmCid(cid), _filled_in(networks, more[0] if more else None)

    def delete_vm(self, cid: VmCid) -> None:
        try:
            self._ask("delete_vm", cid)
        except VmNotFound:
            # BOSH's CPIs may say so; here what is gone was deleted.
            _log.info("the VM '%s' was gone", cid)

    def has_vm(self, cid: VmCid) -> bool:
        return bool(self._ask("has_vm", cid))

    def reboot_vm(self, cid: VmCid) -> None:
        self._ask("reboot_vm", cid)

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        # Labels are a courtesy: BOSH's director does without them too.
        with contextlib.suppress(NotImplementedByCpi):
            self._ask("set_vm_metadata", cid, metadata)

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json:
        found: Json = self._ask("calculate_vm_cloud_properties", requirements)
        return found

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        cid = self._ask("find_vm", agent_id)
        return None if cid is None else VmCid(cid)

    def console_output(self, cid: VmCid) -> str:
        return str(self._ask("console_output", cid)) if self.info().finds else ""

    # -- disks ----------------------------------------------------------------------------------

    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        arguments = [size_mb, cloud_properties, vm_cid]
        if token and self.info().finds:
            arguments.append(token)
        return DiskCid(self._ask("create_disk", *arguments))

    def delete_disk(self, cid: DiskCid) -> None:
        try:
            self._ask("delete_disk", cid)
        except CloudDiskNotFound:
            _log.info("the disk '%s' was gone", cid)

    def has_disk(self, cid: DiskCid) -> bool:
        """Tell whether the disk is there; NotImplementedByCpi means that nobody knows."""
        return bool(self._ask("has_disk", cid))

    def find_disk(self, token: str) -> DiskCid | None:
        cid = self._ask("find_disk", token)
        return None if cid is None else DiskCid(cid)

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        return device_hint(self._ask("attach_disk", vm_cid, disk_cid), disk_cid)

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        self._ask("detach_disk", vm_cid, disk_cid)

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        self._ask("resize_disk", cid, size_mb)

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        changed = self._ask("update_disk", cid, size_mb, cloud_properties)
        return None if changed in (None, cid) else DiskCid(changed)

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None:
        with contextlib.suppress(NotImplementedByCpi):
            self._ask("set_disk_metadata", cid, metadata)

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]:
        return [DiskCid(cid) for cid in self._ask("get_disks", vm_cid)]

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
        return SnapshotCid(self._ask("snapshot_disk", cid, metadata))

    def delete_snapshot(self, cid: SnapshotCid) -> None:
        self._ask("delete_snapshot", cid)

    # -- the executable -------------------------------------------------------------------------

    def _ask_info(self) -> CpiInfo:
        try:
            said = self._program.ask("info", (), api_version=None) or {}
        except NotImplementedByCpi:
            said = {}
        formats = said.get("stemcell_formats")
        version = said.get("api_version")
        ours = said.get("director")
        known = ours if isinstance(ours, Mapping) else {}
        return CpiInfo(
            api_version=max(1, min(VERSION, version)) if type(version) is int else 1,
            stemcell_formats=tuple(
                str(name) for name in (formats if isinstance(formats, list) else ())
            ),
            host_keys=known.get("host_keys") is True,
            finds=known.get("finds") is True,
        )

    def _ask(self, method: str, *arguments: Any) -> Any:
        info = self.info()
        if METHODS[method].ours and not info.finds:
            raise NotImplementedByCpi(f"the CPI '{self._program.name}' has no '{method}'")
        return self._program.ask(method, arguments, api_version=info.api_version)


def _without_host_key(env: Json) -> Json:
    bosh = env.get("bosh")
    if not isinstance(bosh, Mapping):
        return env
    return {**env, "bosh": {key: value for key, value in bosh.items() if key != "ssh_host_key"}}


def _filled_in(asked: Networks, given: Any) -> Networks:
    """Return the networks asked for with what the CPI knows of them better.

    The VM is there by now: networks that cannot be read are passed over rather than refused.
    """
    known = given if isinstance(given, Mapping) else {}
    return {
        name: {**network, **known[name]} if isinstance(known.get(name), Mapping) else network
        for name, network in asked.items()
    }

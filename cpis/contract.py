"""What every cloud provider interface can do: BOSH's CPI protocol v2, as Python.

Method names, argument order and error types are the protocol's, so that an external executable and
a class are the same thing to the director. Three additions, all optional for a caller: ``token``
names an intent, so that a call repeated after a crash finds what the first one made;
``find_vm``/``find_disk`` look such an intent up without making anything; ``console_output`` says
what a VM that does not answer printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from director.model.errors import CpiError
from director.model.ids import AgentId, DiskCid, SnapshotCid, StemcellCid, VmCid

Json = Mapping[str, Any]
Networks = Mapping[str, Mapping[str, Any]]


class CloudError(CpiError):
    """A cloud refused or failed. ``ok_to_retry``: a second call cannot make a second thing.

    ``type_name`` is the protocol's error type.
    """

    code = 100101
    type_name = "Bosh::Clouds::CloudError"

    def __init__(self, what: str, *, ok_to_retry: bool = False, fix: str | None = None) -> None:
        super().__init__(what, fix=fix)
        self.ok_to_retry = ok_to_retry


class VmCreationFailed(CloudError):
    """``create_vm`` made nothing that is left behind."""

    code = 100102
    type_name = "Bosh::Clouds::VMCreationFailed"


class VmNotFound(CloudError):
    """The cloud has no VM with this CID."""

    code = 100103
    type_name = "Bosh::Clouds::VMNotFound"


class CloudDiskNotFound(CloudError):
    """The cloud has no disk with this CID."""

    code = 100104
    type_name = "Bosh::Clouds::DiskNotFound"


class DiskNotAttached(CloudError):
    """The disk is not attached to this VM."""

    code = 100105
    type_name = "Bosh::Clouds::DiskNotAttached"


class NoDiskSpace(CloudError):
    """The cloud has no room for the disk."""

    code = 100106
    type_name = "Bosh::Clouds::NoDiskSpace"


class NotImplementedByCpi(CloudError):
    """This CPI does not have the method."""

    code = 100107
    type_name = "Bosh::Clouds::NotImplemented"


class NotSupportedByCpi(CloudError):
    """The cloud cannot do this for the given thing."""

    code = 100108
    type_name = "Bosh::Clouds::NotSupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpiInfo:
    """What a CPI says of itself.

    ``host_keys``: a VM presents the SSH host key given in ``env``, and ``root`` may log in. BOSH's
    own CPIs know neither: their VMs let ``vcap`` in, with a host key nobody knew before.
    ``finds``: ``find_vm`` and ``find_disk`` can tell what a crash left behind.
    """

    api_version: int = 2
    stemcell_formats: tuple[str, ...] = ()
    host_keys: bool = True
    finds: bool = True


@runtime_checkable
class Cpi(Protocol):
    """One cloud. Instances are thread-safe; every method may be called again after a failure.

    ``env`` of ``create_vm`` carries, beside BOSH's keys: ``env["bosh"]["authorized_keys"]`` (list
    of OpenSSH public keys that may log in as ``vcap`` and ``root``) and
    ``env["bosh"]["ssh_host_key"]`` (``{"private_key": OpenSSH PEM, "public_key": text}``), the key
    the VM's sshd must present. Sizes are in MiB.
    """

    def info(self) -> CpiInfo: ...

    def create_stemcell(self, image_path: str, cloud_properties: Json) -> StemcellCid: ...

    def delete_stemcell(self, cid: StemcellCid) -> None: ...

    def create_vm(
        self,
        agent_id: AgentId,
        stemcell_cid: StemcellCid,
        cloud_properties: Json,
        networks: Networks,
        disk_cids: Sequence[DiskCid],
        env: Json,
    ) -> tuple[VmCid, Networks]:
        """Create and boot a VM; returns its CID and the networks as given (addresses filled in).

        Called again with the same ``agent_id`` it returns the VM it made. Leaves nothing behind on
        failure. Raises CloudError. Source: CPI v2, create_vm.
        """
        ...

    def delete_vm(self, cid: VmCid) -> None:
        """Delete a VM, detaching its disks first; returns once it is gone. A VM that is already
        gone is not an error."""
        ...

    def has_vm(self, cid: VmCid) -> bool: ...

    def reboot_vm(self, cid: VmCid) -> None: ...

    def set_vm_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None: ...

    def calculate_vm_cloud_properties(self, requirements: Json) -> Json: ...

    def create_disk(
        self, size_mb: int, cloud_properties: Json, vm_cid: VmCid | None, *, token: str = ""
    ) -> DiskCid:
        """Create a disk near ``vm_cid``; with the same non-empty ``token`` returns the same one."""
        ...

    def delete_disk(self, cid: DiskCid) -> None:
        """Delete a disk; one that is already gone is not an error, one in use is."""
        ...

    def has_disk(self, cid: DiskCid) -> bool: ...

    def attach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> str:
        """Attach a disk and return where it is inside the VM, the same after every reboot.

        That is a device path (``/dev/...``), or several separated by blanks, of which the first
        that exists is meant; each may hold ``*`` (``/dev/disk/by-id/*vol0123``). Attached already
        to this VM: the same text. Attached to another: CloudError.
        """
        ...

    def detach_disk(self, vm_cid: VmCid, disk_cid: DiskCid) -> None:
        """Detach a disk; raises DiskNotAttached when it is not attached to this VM."""
        ...

    def resize_disk(self, cid: DiskCid, size_mb: int) -> None:
        """Let a detached disk grow; raises NotSupportedByCpi where it would shrink."""
        ...

    def update_disk(self, cid: DiskCid, size_mb: int, cloud_properties: Json) -> DiskCid | None:
        """Change a disk's size and properties in place; returns its new CID if it got another.

        Raises NotSupportedByCpi where only a new disk can be as asked: the director then copies.
        Source: CPI v2, update_disk.
        """
        ...

    def set_disk_metadata(self, cid: DiskCid, metadata: Mapping[str, str]) -> None: ...

    def get_disks(self, vm_cid: VmCid) -> Sequence[DiskCid]: ...

    def snapshot_disk(self, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid: ...

    def delete_snapshot(self, cid: SnapshotCid) -> None: ...

    def find_vm(self, agent_id: AgentId) -> VmCid | None:
        """Return the VM ``create_vm`` made for this agent id, or None; makes nothing."""
        ...

    def find_disk(self, token: str) -> DiskCid | None:
        """Return the disk ``create_disk`` made for this token, or None; makes nothing."""
        ...

    def console_output(self, cid: VmCid) -> str:
        """Return the last lines a VM printed while booting; empty where the cloud keeps none."""
        ...

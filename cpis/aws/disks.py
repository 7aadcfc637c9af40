"""Persistent disks: EBS volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from cpis.aws import instances
from cpis.aws.ec2 import Ec2, tag_filter, text
from cpis.aws.errors import AwsRefusal
from cpis.aws.launch import ebs_request
from cpis.aws.lookups import first_zone
from cpis.aws.properties import DiskProperties
from cpis.aws.tags import TOKEN, client_token, tagged, tags_of
from cpis.contract import CloudDiskNotFound, CloudError, DiskNotAttached
from director.model.ids import DiskCid, VmCid

MADE_WITHIN_S = 300.0
ATTACHED_WITHIN_S = 300.0
_LETTERS = "fghijklmnop"
_PATH = "volumeSet/item"
_CID = re.compile(r"vol-[0-9a-f]{8,17}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where a volume is: ``status`` is attaching, attached, busy, detaching or detached."""

    vm: VmCid
    device: str
    status: str


def create(ec2: Ec2, properties: DiskProperties, vm_cid: VmCid | None, *, token: str) -> DiskCid:
    """Create a volume in the zone of the VM, and return it once it can be attached.

    Every volume has a client token, so that a lost answer makes no second one.
    """
    zone = properties.availability_zone
    if vm_cid is not None:
        zone = instances.zone(ec2, vm_cid)
    volume = ebs_request(properties.ebs)
    volume["Size"] = volume.pop("VolumeSize")
    answer = ec2.ask(
        "CreateVolume",
        {
            **volume,
            "AvailabilityZone": zone or first_zone(ec2),
            "ClientToken": client_token("disk", token or ec2.new_id()),
            "TagSpecification": [tagged("volume", {TOKEN: token})] if token else [],
        },
    )
    cid = DiskCid(text(answer, "volumeId"))
    ec2.recent.note(cid)

    def look() -> bool | None:
        status = text(get(ec2, cid), "status")
        if status == "error":
            raise CloudError(
                f"AWS could not make the disk '{cid}'",
                fix="look at its KMS key: the credentials must be allowed to use it",
            )
        return None if status == "creating" else True

    ec2.wait(f"making the disk '{cid}'", look, timeout_s=MADE_WITHIN_S)
    return cid


def get(ec2: Ec2, cid: DiskCid) -> Element:
    """Return a volume that is there; raises CloudDiskNotFound."""
    require_cid(cid)
    found = next(ec2.items("DescribeVolumes", {"VolumeId": [cid]}, _PATH), None)
    if found is None or text(found, "status") in ("deleting", "deleted"):
        raise CloudDiskNotFound(f"there is no disk '{cid}'")
    return found


def require_cid(cid: DiskCid) -> None:
    """Raise CloudDiskNotFound for what cannot be a volume's id, without asking."""
    if not _CID.fullmatch(cid):
        raise CloudDiskNotFound(f"there is no disk '{cid}'")


def has(ec2: Ec2, cid: DiskCid) -> bool:
    """Tell whether a volume is there."""
    try:
        get(ec2, cid)
    except CloudDiskNotFound:
        return False
    return True


def find(ec2: Ec2, token: str) -> DiskCid | None:
    """Return the volume that was made with this token, or None: one filtered request."""
    for volume in ec2.items("DescribeVolumes", {"Filter": [tag_filter(TOKEN, token)]}, _PATH):
        if text(volume, "status") not in ("deleting", "deleted"):
            return DiskCid(text(volume, "volumeId"))
    return None


def delete(ec2: Ec2, cid: DiskCid) -> None:
    """Delete a volume; one that is gone is no error, one in use is."""
    try:
        require_cid(cid)
        ec2.recent.forget(cid)
        ec2.ask("DeleteVolume", {"VolumeId": cid})
    except CloudDiskNotFound:
        return


def set_metadata(ec2: Ec2, cid: DiskCid, metadata: Mapping[str, str]) -> None:
    """Add tags to a volume, or change those it has."""
    require_cid(cid)
    tags = tags_of(metadata)
    if tags:
        ec2.ask("CreateTags", {"ResourceId": [cid], "Tag": tags})
    else:
        get(ec2, cid)


def attach(ec2: Ec2, vm_cid: VmCid, cid: DiskCid) -> str:
    """Attach a volume and return where it is in the VM, once it is there."""
    instances.require_cid(vm_cid)
    require_cid(cid)
    for letter in _LETTERS:
        device = _attach_as(ec2, vm_cid, cid, f"/dev/sd{letter}")
        if device is not None:
            _wait_attached(ec2, vm_cid, cid)
            return hints(cid, device)
    raise CloudError(
        f"the VM '{vm_cid}' has {len(_LETTERS)} disks, and no name for another",
        fix="detach one of them",
    )


def hints(cid: DiskCid, device: str) -> str:
    """Return where a volume is inside its VM, whatever the hypervisor: NVMe shows the volume's id,
    Xen the name it was attached by, with its own prefix or not."""
    serial, letter = cid.replace("-", ""), device[-1]
    return (
        f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial} /dev/xvd{letter} /dev/sd{letter}"
    )


def detach(ec2: Ec2, vm_cid: VmCid, cid: DiskCid) -> None:
    """Detach a volume and return once it is free; raises DiskNotAttached."""
    instances.require_cid(vm_cid)
    require_cid(cid)

    def gone() -> bool | None:
        held = attachment(get(ec2, cid))
        return True if held is None or held.vm != vm_cid else None

    def going() -> bool | None:
        held = attachment(get(ec2, cid))
        return True if held is None or held.vm != vm_cid or held.status == "detaching" else None

    try:
        ec2.ask_once(
            "DetachVolume",
            {"VolumeId": cid, "InstanceId": vm_cid},
            then=lambda _: True,
            look=going,
        )
    except AwsRefusal as error:
        if error.aws_code not in ("IncorrectState", "InvalidAttachment.NotFound"):
            raise
        held = attachment(get(ec2, cid))
        if held is None or held.vm != vm_cid:
            raise DiskNotAttached(
                f"the disk '{cid}' is not attached to the VM '{vm_cid}'"
            ) from error
    try:
        ec2.wait(f"detaching the disk '{cid}'", gone, timeout_s=ATTACHED_WITHIN_S)
    except CloudError as error:
        error.fix = error.fix or "unmount it in the VM first"
        raise


def attachment(volume: Element) -> Attachment | None:
    """Return where a volume is attached, or None."""
    held = volume.find("attachmentSet/item")
    if held is None or text(held, "status") == "detached":
        return None
    return Attachment(
        vm=VmCid(text(held, "instanceId")), device=text(held, "device"), status=text(held, "status")
    )


def _attach_as(ec2: Ec2, vm_cid: VmCid, cid: DiskCid, device: str) -> str | None:
    """Ask for an attachment; returns the name it has, or None where that name is taken."""
    asked = {"VolumeId": cid, "InstanceId": vm_cid, "Device": device}
    try:
        ec2.ask("AttachVolume", asked)
    except AwsRefusal as error:
        if error.aws_code == "InvalidParameterValue" and "already in use" in error.what:
            return None
        if error.aws_code not in ("VolumeInUse", "IncorrectState"):
            raise
        held = _settled(ec2, cid)
        if held is None:
            # Either the disk has just become free, or the VM is what is not ready.
            instances.get(ec2, vm_cid)
            ec2.ask("AttachVolume", asked)
            return device
        if held.vm != vm_cid:
            raise CloudError(
                f"the disk '{cid}' is attached to the VM '{held.vm}'", fix="detach it there first"
            ) from error
        return held.device
    return device


def _settled(ec2: Ec2, cid: DiskCid) -> Attachment | None:
    """Return where a volume is once it is not on its way out: a VM that ended lets go late."""

    def look() -> tuple[Attachment | None] | None:
        held = attachment(get(ec2, cid))
        return None if held is not None and held.status == "detaching" else (held,)

    return ec2.calls.until(f"detaching the disk '{cid}'", look, timeout_s=ATTACHED_WITHIN_S)[0]


def _wait_attached(ec2: Ec2, vm_cid: VmCid, cid: DiskCid) -> None:
    def look() -> bool | None:
        held = attachment(get(ec2, cid))
        if held is None or held.vm != vm_cid:
            raise CloudError(f"the disk '{cid}' was detached while it was attached")
        return True if held.status == "attached" else None

    ec2.wait(f"attaching the disk '{cid}'", look, timeout_s=ATTACHED_WITHIN_S)

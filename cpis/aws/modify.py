"""Changing a volume in place: its size, its type, how fast it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element

from cpis.aws import disks
from cpis.aws.ec2 import Ec2, text
from cpis.aws.errors import AwsRefusal
from cpis.aws.properties import Ebs, gib
from cpis.contract import CloudError, NotSupportedByCpi
from director.model.ids import DiskCid

MODIFIED_WITHIN_S = 900.0
_GP3_IOPS, _GP3_THROUGHPUT = 3000, 125
_NOT_NOW = ("VolumeModificationRateExceeded", "IncorrectModificationState")


def resize(ec2: Ec2, cid: DiskCid, size_mb: int) -> None:
    """Let a volume grow and nothing else change; raises NotSupportedByCpi where it would shrink."""
    volume = disks.get(ec2, cid)
    _change(ec2, cid, {"Size": _grown(cid, volume, size_mb)})


def update(ec2: Ec2, cid: DiskCid, wanted: Ebs) -> None:
    """Make a volume as ``wanted`` asks a new one to be.

    Raises NotSupportedByCpi where only a new volume can be so.
    """
    volume = disks.get(ec2, cid)
    size = _grown(cid, volume, wanted.size_mb or 0)
    encrypted = text(volume, "encrypted") == "true"
    if wanted.encrypted is not None and wanted.encrypted != encrypted:
        raise NotSupportedByCpi(f"AWS does not change whether the disk '{cid}' is encrypted")
    key = text(volume, "kmsKeyId")
    if wanted.kms_key_arn is not None and wanted.kms_key_arn != key:
        raise NotSupportedByCpi(f"AWS does not change the key of the disk '{cid}'")
    if wanted.type == "gp3":
        # What a new one has where nothing is said.
        wanted = replace(
            wanted,
            iops=wanted.iops or _GP3_IOPS,
            throughput=wanted.throughput or _GP3_THROUGHPUT,
        )
    there = (text(volume, "volumeType"), text(volume, "iops"), text(volume, "throughput"))
    type_, iops, throughput = there
    _change(
        ec2,
        cid,
        {
            "Size": size,
            "VolumeType": None if wanted.type == type_ else wanted.type,
            "Iops": None if str(wanted.iops or iops) == iops else wanted.iops,
            "Throughput": _differing(wanted.throughput, throughput),
        },
    )


def _differing(wanted: int | None, there: str) -> int | None:
    return None if wanted is None or str(wanted) == (there or str(_GP3_THROUGHPUT)) else wanted


def _grown(cid: DiskCid, volume: Element, size_mb: int) -> int | None:
    """Return the size to ask for in GiB, or None where it has it."""
    if size_mb <= 0:
        raise CloudError(f"the disk '{cid}' cannot have {size_mb} MiB", fix="use a size above 0")
    there, wanted = int(text(volume, "size")), gib(size_mb)
    if wanted < there:
        raise NotSupportedByCpi(f"AWS does not shrink the disk '{cid}' ({there} to {wanted} GiB)")
    return None if wanted == there else wanted


def _change(ec2: Ec2, cid: DiskCid, changes: dict[str, Any]) -> None:
    """Ask for the changes that are not None, and return once the volume has them."""
    wanted = {key: value for key, value in changes.items() if value is not None}
    if not wanted:
        return

    def look() -> bool | None:
        change = _latest(ec2, cid)
        asked = change is not None and all(
            text(change, f"target{key}") == str(value) for key, value in wanted.items()
        )
        return True if asked else None

    try:
        ec2.ask_once("ModifyVolume", {"VolumeId": cid, **wanted}, then=lambda _: True, look=look)
    except AwsRefusal as error:
        if error.aws_code not in _NOT_NOW:
            raise
        raise NotSupportedByCpi(
            f"AWS changed the disk '{cid}' a short time ago and does not again ({error.what})",
            fix="wait six hours, or let the director copy it to a new disk",
        ) from error
    ec2.wait(f"changing the disk '{cid}'", lambda: _done(ec2, cid), timeout_s=MODIFIED_WITHIN_S)


def _done(ec2: Ec2, cid: DiskCid) -> bool | None:
    change = _latest(ec2, cid)
    state = "" if change is None else text(change, "modificationState")
    if change is not None and state == "failed":
        raise CloudError(f"AWS could not change the disk '{cid}': {text(change, 'statusMessage')}")
    # While it is being optimized the volume has its new size and type already.
    return True if state in ("optimizing", "completed") else None


def _latest(ec2: Ec2, cid: DiskCid) -> Element | None:
    asked = {"VolumeId": [cid]}
    try:
        found = list(ec2.items("DescribeVolumesModifications", asked, "volumeModificationSet/item"))
    except AwsRefusal as error:
        if error.aws_code != "InvalidVolumeModification.NotFound":
            raise
        return None
    return max(found, key=lambda change: text(change, "startTime"), default=None)

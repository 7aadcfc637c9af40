"""Stemcells: AMIs that are there (light), or made of a raw image through a snapshot (heavy)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cpis.aws import lookups, snapshots
from cpis.aws.ec2 import Ec2, text
from cpis.aws.errors import code_of
from cpis.aws.images import opened_image
from cpis.aws.snapshot_writer import start_snapshot, write_snapshot
from cpis.aws.tags import tagged
from cpis.contract import CloudError, Json
from director.model.ids import SnapshotCid, StemcellCid

LIGHT = " light"
_AMI = re.compile(r"ami-[0-9a-f]{8,17}")
SNAPSHOT_WITHIN_S = 3600.0
AVAILABLE_WITHIN_S = 900.0


def create(
    ec2: Ec2, ebs: Callable[[], Any], image_path: str, cloud_properties: Json
) -> StemcellCid:
    """Return the CID of a stemcell: of the AMI its properties name, or of a new one.

    A new one takes the actions ``ebs:StartSnapshot``, ``ebs:PutSnapshotBlock`` and
    ``ebs:CompleteSnapshot`` beside EC2's.
    """
    amis = cloud_properties.get("ami")
    if not amis:
        return _heavy(ec2, ebs, image_path, cloud_properties)
    region = ec2.settings.region
    if not isinstance(amis, dict) or not _AMI.fullmatch(str(amis.get(region, ""))):
        known = ", ".join(sorted(amis)) if isinstance(amis, dict) else "none"
        raise CloudError(
            f"the light stemcell has no AMI for the region '{region}'; it has {known}",
            fix="copy the AMI into this region and repack the stemcell with its id, "
            "or use a region it has",
        )
    lookups.root_device(ec2, amis[region])
    return StemcellCid(amis[region] + LIGHT)


def ami_of(cid: StemcellCid) -> str:
    """Return the AMI of a stemcell; raises CloudError for what cannot be one."""
    ami = cid.removesuffix(LIGHT)
    if not _AMI.fullmatch(ami):
        raise CloudError(f"there is no stemcell '{cid}' on AWS", fix="upload the stemcell again")
    return ami


def delete(ec2: Ec2, cid: StemcellCid) -> None:
    """Delete a stemcell that was made here, and its snapshots; a light one's AMI stays.

    May be called again.
    """
    if cid.endswith(LIGHT) or not _AMI.fullmatch(cid):
        return
    ec2.known.root_devices.pop(cid, None)
    try:
        found = list(ec2.items("DescribeImages", {"ImageId": [cid]}, "imagesSet/item"))
        ec2.ask("DeregisterImage", {"ImageId": cid})
    except CloudError as error:
        if code_of(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
            raise
        return
    for image in found:
        for snapshot in image.iterfind("blockDeviceMapping/item/ebs/snapshotId"):
            snapshots.delete(ec2, SnapshotCid((snapshot.text or "").strip()))


def _heavy(
    ec2: Ec2, ebs: Callable[[], Any], image_path: str, cloud_properties: Json
) -> StemcellCid:
    name = f"{cloud_properties.get('name', 'stemcell')} {cloud_properties.get('version', '')}"
    device = str(cloud_properties.get("root_device_name") or "/dev/xvda")
    client = ebs()
    with opened_image(image_path) as image:
        snapshot = start_snapshot(
            client, image.size, description=f"stemcell {name}".strip(), token=ec2.new_id()
        )
        ami = None
        try:
            write_snapshot(client, snapshot, image)
            _wait_for_snapshot(ec2, snapshot)
            ami = _register(ec2, snapshot, name, device, cloud_properties)
            _wait_for_image(ec2, ami)
        except CloudError:
            # Whatever this raises is less than what went wrong first.
            with suppress(CloudError):
                if ami is not None:
                    ec2.ask("DeregisterImage", {"ImageId": ami})
                snapshots.delete(ec2, snapshot)
            raise
    ec2.known.root_devices[ami] = device
    return StemcellCid(ami)


def _register(
    ec2: Ec2, snapshot: SnapshotCid, name: str, device: str, cloud_properties: Json
) -> str:
    # A name is taken by one AMI: it says what a lost answer did.
    unique = f"{re.sub(r'[^A-Za-z0-9 ./-]', '-', name)[:80].strip()} {ec2.new_id()}"
    asked = {
        "Name": unique,
        "Description": f"stemcell {name}".strip()[:255],
        "Architecture": str(cloud_properties.get("architecture") or "x86_64"),
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "RootDeviceName": device,
        "BlockDeviceMapping": [
            {
                "DeviceName": device,
                "Ebs": {
                    "SnapshotId": snapshot,
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
        ],
        "TagSpecification": [tagged("image", {"Name": unique})],
    }

    def look() -> str | None:
        wanted = {"Filter": [{"Name": "name", "Value": [unique]}], "Owner": ["self"]}
        found = ec2.items("DescribeImages", wanted, "imagesSet/item/imageId")
        return next(((one.text or "").strip() for one in found), None)

    return ec2.ask_once("RegisterImage", asked, then=lambda made: text(made, "imageId"), look=look)


def _wait_for_snapshot(ec2: Ec2, snapshot: SnapshotCid) -> None:
    def look() -> bool | None:
        asked = {"SnapshotId": [snapshot]}
        found = next(ec2.items("DescribeSnapshots", asked, snapshots.PATH), None)
        status = "" if found is None else text(found, "status")
        if status == "error":
            raise CloudError(f"AWS could not finish the snapshot '{snapshot}' of the stemcell")
        return True if status == "completed" else None

    ec2.recent.note(snapshot)
    ec2.wait("the stemcell's snapshot", look, timeout_s=SNAPSHOT_WITHIN_S)


def _wait_for_image(ec2: Ec2, ami: str) -> None:
    def look() -> bool | None:
        found = next(ec2.items("DescribeImages", {"ImageId": [ami]}, "imagesSet/item"), None)
        state = "" if found is None else text(found, "imageState")
        if state in ("failed", "error", "invalid"):
            raise CloudError(f"AWS could not make the image '{ami}' of the stemcell")
        return True if state == "available" else None

    ec2.recent.note(ami)
    ec2.wait("the stemcell's image", look, timeout_s=AVAILABLE_WITHIN_S)

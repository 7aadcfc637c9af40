"""Snapshots of disks. AWS fills them in the background; what is in them is the disk at the call."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from cpis.aws import disks
from cpis.aws.ec2 import Ec2, tag_filter, text
from cpis.aws.errors import code_of
from cpis.aws.tags import TOKEN, tagged, tags_of
from cpis.contract import CloudError
from director.model.ids import DiskCid, SnapshotCid

PATH = "snapshotSet/item"
_GONE = ("InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed")


def create(ec2: Ec2, cid: DiskCid, metadata: Mapping[str, str]) -> SnapshotCid:
    """Make a snapshot. AWS takes no client token here, so its tag tells what a lost answer did."""
    disks.require_cid(cid)
    token = ec2.new_id()
    tags = {tag["Key"]: tag["Value"] for tag in tags_of(metadata)}

    def made(snapshot: Element) -> SnapshotCid:
        return SnapshotCid(text(snapshot, "snapshotId"))

    def look() -> SnapshotCid | None:
        asked = {"Filter": [tag_filter(TOKEN, token)], "Owner": ["self"]}
        return next((made(one) for one in ec2.items("DescribeSnapshots", asked, PATH)), None)

    asked = {
        "VolumeId": cid,
        "Description": f"of {cid}",
        "TagSpecification": [tagged("snapshot", {**tags, TOKEN: token})],
    }
    return ec2.ask_once("CreateSnapshot", asked, then=made, look=look)


def delete(ec2: Ec2, cid: SnapshotCid) -> None:
    """Delete a snapshot; one that is gone is no error."""
    if not cid.startswith("snap-"):
        return
    try:
        ec2.ask("DeleteSnapshot", {"SnapshotId": cid})
    except CloudError as error:
        if code_of(error) not in _GONE:
            raise

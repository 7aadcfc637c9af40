"""What a launch needs to know of the account: looked up once, and only what is needed."""

from __future__ import annotations

import re
from dataclasses import replace

from cpis.aws.ec2 import Ec2, filters, text
from cpis.aws.launch import Interface
from cpis.contract import CloudError


def root_device(ec2: Ec2, ami: str) -> str:
    """Return the name an image gives its root disk; raises CloudError for an unknown image."""
    known = ec2.known.root_devices
    if ami not in known:
        image = next(ec2.items("DescribeImages", {"ImageId": [ami]}, "imagesSet/item"), None)
        if image is None:
            raise CloudError(
                f"there is no image '{ami}' in {ec2.settings.region}",
                fix="upload the stemcell again, or use one for this region",
            )
        known[ami] = text(image, "rootDeviceName") or "/dev/sda1"
    return known[ami]


def with_group_ids(ec2: Ec2, wanted: tuple[Interface, ...]) -> tuple[Interface, ...]:
    """Return the interfaces with the names of their security groups made ids."""
    return tuple(
        replace(one, groups=tuple(_group_id(ec2, one.subnet, group) for group in one.groups))
        for one in wanted
    )


def first_zone(ec2: Ec2) -> str:
    """Return the region's first availability zone, for a disk that is made near nothing."""
    if "" not in ec2.known.zones:
        asked = {"Filter": filters(state="available", zone_type="availability-zone")}
        found = ec2.items("DescribeAvailabilityZones", asked, "availabilityZoneInfo/item/zoneName")
        names = sorted((zone.text or "").strip() for zone in found)
        if not names:
            raise CloudError(f"the region '{ec2.settings.region}' shows no availability zone")
        ec2.known.zones[""] = names[0]
    return ec2.known.zones[""]


def _group_id(ec2: Ec2, subnet: str, group: str) -> str:
    if re.fullmatch(r"sg-[0-9a-f]+", group):
        return group
    vpc = _vpc(ec2, subnet)
    known = ec2.known.groups
    if (vpc, group) not in known:
        asked = {"Filter": filters(vpc_id=vpc, group_name=group)}
        found = ec2.items("DescribeSecurityGroups", asked, "securityGroupInfo/item/groupId")
        one = next(found, None)
        if one is None:
            raise CloudError(
                f"the VPC '{vpc}' has no security group '{group}'",
                fix="create it there, or name another one or its id (sg-...)",
            )
        known[(vpc, group)] = (one.text or "").strip()
    return known[(vpc, group)]


def _vpc(ec2: Ec2, subnet: str) -> str:
    known = ec2.known.vpcs
    if subnet not in known:
        found = ec2.items("DescribeSubnets", {"SubnetId": [subnet]}, "subnetSet/item/vpcId")
        one = next(found, None)
        if one is None:
            raise CloudError(f"there is no subnet '{subnet}' in {ec2.settings.region}")
        known[subnet] = (one.text or "").strip()
    return known[subnet]

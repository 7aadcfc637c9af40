"""A whole deployment on AWS: its API is the test cloud's, its machines are real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import local_machines
import pytest
import yaml
from clouds.aws.bed import AwsBed
from clouds.aws_servers import AwsServers
from clouds.bridge import bridge
from clouds.whole_deployment import Site, deploy_change_and_delete
from real_director import Director

pytestmark = [pytest.mark.machines, pytest.mark.slow]

SUBNET = "10.237.1"
# As long an instance takes to end: its machine here has to be gone before its address is free.
ENDS_AFTER_S = 1.0


@pytest.fixture
def bed() -> Iterator[AwsBed]:
    with AwsBed() as bed:
        bed.options(ends_s=ENDS_AFTER_S)
        yield bed


def test_redis_on_aws(bed: AwsBed, tmp_path: Path) -> None:
    ec2, region = bed.client(), bed.account["region"]
    vpc = ec2.create_vpc(CidrBlock="10.237.0.0/16")["Vpc"]["VpcId"]
    zone = f"{region}a"
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{SUBNET}.0/24", AvailabilityZone=zone)
    group = ec2.create_security_group(GroupName="vms", Description="VMs", VpcId=vpc)
    place = {"subnet": subnet["Subnet"]["SubnetId"], "security_groups": [group["GroupId"]]}
    first = bed.account["ami"]
    copied = ec2.copy_image(SourceImageId=first, SourceRegion=region, Name="newer")
    images = (first, copied["ImageId"])

    director = Director(home=tmp_path / "home", subnet=SUBNET)
    director.home.mkdir(mode=0o700)
    settings = {"cpi": {"name": "aws", "properties": bed.properties()}}
    (director.home / "director.yml").write_text(yaml.safe_dump(settings))

    with (
        local_machines.local_cpi("aws-bridge") as cpi,
        bridge(AwsServers(bed), cpi, local_machines.stemcell_image()) as machines,
    ):
        site = Site(
            director=director,
            bridge=machines,
            cloud_config=_cloud_config(zone, place),
            images=({"ami": {region: images[0]}}, {"ami": {region: images[1]}}),
            delete_server=lambda cid: ec2.terminate_instances(InstanceIds=[cid]),
            left=lambda: _left(bed),
        )
        deploy_change_and_delete(site, tmp_path)


def _cloud_config(zone: str, place: dict[str, Any]) -> dict[str, Any]:
    """Return a cloud config like that of manifests/aws, with one subnet and small disks."""

    def vm(instance_type: str) -> dict[str, Any]:
        disk = {"size": 4096, "type": "gp3"}
        return {"instance_type": instance_type, "ephemeral_disk": disk}

    zones = ["z1", "z2", "z3"]
    return {
        "azs": [{"name": z, "cloud_properties": {"availability_zone": zone}} for z in zones],
        "vm_types": [
            {"name": "default", "cloud_properties": vm("t3.small")},
            {"name": "compilation", "cloud_properties": vm("c7i.xlarge")},
        ],
        "disk_types": [
            {"name": "default", "disk_size": 1024, "cloud_properties": {"type": "gp3"}},
            {"name": "large", "disk_size": 2048, "cloud_properties": {"type": "gp3"}},
        ],
        "networks": [
            {
                "name": "default",
                "type": "manual",
                "subnets": [
                    {
                        "azs": zones,
                        "range": f"{SUBNET}.0/24",
                        "gateway": f"{SUBNET}.1",
                        "reserved": [f"{SUBNET}.2-{SUBNET}.9"],
                        "dns": [],
                        "cloud_properties": place,
                    }
                ],
            }
        ],
        "compilation": {
            "workers": 1,
            "reuse_compilation_vms": True,
            "az": "z1",
            "vm_type": "compilation",
            "network": "default",
            "env": {"bosh": {"swap_size": 0}},
        },
    }


def _left(bed: AwsBed) -> object:
    ec2 = bed.client()
    return {
        "instances": [i["InstanceId"] for i in bed.alive()],
        "volumes": [v["VolumeId"] for v in bed.volumes()],
        "cards": [
            c["NetworkInterfaceId"] for c in ec2.describe_network_interfaces()["NetworkInterfaces"]
        ],
        "addresses": ec2.describe_addresses()["Addresses"],
        "groups": sorted(g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]),
        "snapshots": [
            s["SnapshotId"] for s in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        ],
    }

"""The AWS CPI against a test cloud that throttles, forgets to answer and is slow to know."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clouds.aws.bed import AwsBed
from local_machines import Keys
from served import served

from cpis.aws import AwsCpi
from cpis.aws.snapshot_writer import BLOCK
from cpis.conformance import disks as disk_checks
from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import (
    CloudError,
    Cpi,
    DiskNotAttached,
    NoDiskSpace,
    NotSupportedByCpi,
    VmCreationFailed,
    VmNotFound,
)
from cpis.external import ExternalCpi
from director.model.ids import AgentId, DiskCid, StemcellCid, VmCid

ROOT = Path(__file__).parents[2]
ENV = Keys().env
SEEN: set[str] = set()
"""The actions of all tests of this module, as IAM names them."""


def hasty(seconds: float) -> None:
    time.sleep(min(seconds, 0.03))


@pytest.fixture(scope="module")
def running() -> Iterator[AwsBed]:
    with AwsBed() as bed:
        yield bed


@pytest.fixture
def bed(running: AwsBed) -> Iterator[AwsBed]:
    """The cloud, empty but for its network, and what is called noted when the test ends."""
    running.forget_calls()
    yield running
    running.fault()
    running.options(delay_s=0.05, unseen_s=0, doomed=0)
    SEEN.update(f"{call['service']}:{call['action']}" for call in calls_of_cpi(running))
    cpi = cpi_on(running)
    for instance in running.alive():
        cpi.delete_vm(instance["InstanceId"])
    for volume in running.volumes():
        if volume["State"] == "available":
            cpi.delete_disk(volume["VolumeId"])


def cpi_on(bed: AwsBed, **properties: Any) -> AwsCpi:
    return AwsCpi(bed.properties(**properties), sleep=hasty)


def calls_of_cpi(bed: AwsBed) -> list[dict[str, Any]]:
    """Return the calls but those of boto3's EC2 client, which asks with another key."""
    return [call for call in bed.calls() if call["key"] != "looker"]


def stemcell(bed: AwsBed) -> StemcellCid:
    return StemcellCid(f"{bed.account['ami']} light")


def make(
    cpi: Cpi,
    bed: AwsBed,
    agent: str,
    ip: str | None = None,
    networks: Any = None,
    **properties: Any,
) -> tuple[VmCid, Any]:
    return cpi.create_vm(
        AgentId(agent),
        stemcell(bed),
        {"instance_type": "t3.small", **properties},
        networks or {"default": bed.network(ip)},
        [],
        ENV,
    )


def given_on(bed: AwsBed, again: Callable[[], Cpi] | None) -> Given:
    return Given(
        image_path="",
        stemcell_properties={"ami": {bed.account["region"]: bed.account["ami"]}},
        light=True,
        networks=lambda n: {"default": bed.network(f"10.80.1.{10 + n}")},
        dynamic={"default": bed.network()},
        env=ENV,
        cloud_properties={"instance_type": "t3.small"},
        disk_mb=1024,
        again=again,
    )


# -- conformance ---------------------------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(bed: AwsBed, check: Callable) -> None:
    cpi = cpi_on(bed)
    given = given_on(bed, lambda: cpi_on(bed))
    run_check(check, cpi, given, cpi.create_stemcell("", given.stemcell_properties))
    assert bed.alive() == []
    assert bed.volumes() == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance_through_serve(bed: AwsBed, check: Callable) -> None:
    with served(cpi_on(bed)) as cpi:
        given = replace(given_on(bed, lambda: cpi_on(bed)), run_id="served")
        run_check(check, cpi, given, cpi.create_stemcell("", given.stemcell_properties))
    assert bed.alive() == []
    assert bed.volumes() == []


def test_conformance_as_an_executable(bed: AwsBed) -> None:
    """A process for every call: nothing that was looked up or made is remembered."""
    cpi = ExternalCpi(
        {
            "exec_path": str(Path(sys.executable).with_name("director-cpi")),
            "arguments": ["aws"],
            "director_uuid": "contract",
            "properties": bed.properties(),
            "timeout": 120,
        }
    )
    given = replace(given_on(bed, None), run_id="rpc")
    check = disk_checks.frees_the_disks_of_a_deleted_vm
    run_check(check, cpi, given, cpi.create_stemcell("", given.stemcell_properties))
    assert bed.alive() == []


# -- what a VM is --------------------------------------------------------------------------------


def test_a_vm_is_what_was_asked_for(bed: AwsBed) -> None:
    ec2, cpi = bed.client(), cpi_on(bed)
    cid, networks = make(
        cpi,
        bed,
        "as-asked",
        "10.80.2.5",
        root_disk={"size": 20000},
        ephemeral_disk={"size": 5000, "encrypted": True},
        security_groups=["director"],
        source_dest_check=False,
    )
    assert networks["default"]["ip"] == "10.80.2.5"
    seen = ec2.describe_instances(InstanceIds=[cid])["Reservations"][0]["Instances"][0]
    assert seen["PrivateIpAddress"] == "10.80.2.5"
    assert seen["MetadataOptions"]["HttpTokens"] == "required"
    groups = [group["GroupId"] for group in seen["NetworkInterfaces"][0]["Groups"]]
    assert groups == [bed.account["security_group"]]
    assert seen["NetworkInterfaces"][0]["SourceDestCheck"] is False
    sizes = {v["Attachments"][0]["Device"]: (v["Size"], v["Encrypted"]) for v in bed.volumes()}
    assert sizes == {seen["RootDeviceName"]: (20, False), "/dev/sdb": (5, True)}
    assert {"Key": "director:agent_id", "Value": "as-asked"} in seen["Tags"]
    launch = next(call for call in bed.calls() if call["action"] == "RunInstances")
    # Secrets travel in the body: no URL, and so no log of URLs, has them.
    assert launch["url"] == "/?"
    assert len(launch["params"]["UserData"]) > 1000
    cpi.set_vm_metadata(cid, {"name": "web/0", "deployment": "d"})
    tags = {t["Key"]: t["Value"] for t in bed.alive()[0]["Tags"]}
    assert tags == {"Name": "web/0", "deployment": "d", "director:agent_id": "as-asked"}
    assert cpi.get_disks(cid) == []


def test_addresses_of_the_cloud_are_told(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    _, networks = make(cpi, bed, "dynamic", auto_assign_public_ip=True)
    assert networks["default"]["ip"].startswith("10.80.")
    assert networks["default"]["public_ip"]


def test_an_elastic_ip_is_given_and_never_taken_away(bed: AwsBed) -> None:
    ec2, cpi = bed.client(), cpi_on(bed)
    ip = ec2.allocate_address(Domain="vpc")["PublicIp"]
    networks = {"default": bed.network("10.80.2.6"), "vip": {"type": "vip", "ip": ip}}
    cid, given = make(cpi, bed, "vip", networks=networks)
    assert given["default"]["public_ip"] == ip
    assert given["vip"]["ip"] == ip
    assert make(cpi, bed, "vip", networks=networks) == (cid, given)
    other = {"default": bed.network("10.80.2.7"), "vip": {"type": "vip", "ip": ip}}
    with pytest.raises(VmCreationFailed, match="belongs to"):
        make(cpi, bed, "thief", networks=other)
    assert len(bed.alive()) == 1
    cpi.delete_vm(cid)
    make(cpi, bed, "heir", networks=other)
    with pytest.raises(VmCreationFailed, match=r"no Elastic IP 198\.51\.100\.9"):
        make(
            cpi,
            bed,
            "nobody",
            networks={**other, "vip": {"type": "vip", "ip": "198.51.100.9"}},
        )


def test_routes_and_load_balancers_follow(bed: AwsBed) -> None:
    ec2, cpi = bed.client(), cpi_on(bed)
    table = ec2.create_route_table(VpcId=bed.account["vpc"])["RouteTable"]["RouteTableId"]
    bed.client("elb").create_load_balancer(
        LoadBalancerName="classic",
        Listeners=[{"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 80}],
        Subnets=[bed.account["subnet"]],
    )
    group = bed.client("elbv2").create_target_group(
        Name="web", Protocol="TCP", Port=80, VpcId=bed.account["vpc"], TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    extras: dict[str, Any] = {
        "advertised_routes": [{"table_id": table, "destination": "10.99.0.0/16"}],
        "elbs": ["classic"],
        "lb_target_groups": ["web"],
    }
    first, _ = make(cpi, bed, "router", **extras)
    assert isinstance(cpi.console_output(first), str)
    second, _ = make(cpi, bed, "router-2", **extras)  # takes the route over

    def routes() -> list[dict[str, Any]]:
        found = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
        return [route for route in found if route["DestinationCidrBlock"] == "10.99.0.0/16"]

    assert len(routes()) == 1
    health = bed.client("elbv2").describe_target_health(TargetGroupArn=group)
    targets = {one["Target"]["Id"] for one in health["TargetHealthDescriptions"]}
    assert targets == {first, second}
    classic = bed.client("elb").describe_load_balancers(LoadBalancerNames=["classic"])
    members = classic["LoadBalancerDescriptions"][0]["Instances"]
    assert {one["InstanceId"] for one in members} == {first, second}


def test_stopped_machines_are_there_and_are_started_by_a_reboot(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    cid, _ = make(cpi, bed, "stopped")
    bed.client().stop_instances(InstanceIds=[cid])
    assert cpi.has_vm(cid)
    assert cpi.find_vm(AgentId("stopped")) == cid
    cpi.reboot_vm(cid)
    assert bed.alive()[0]["State"]["Name"] == "running"
    cpi.delete_vm(cid)
    with pytest.raises(VmNotFound):
        cpi.reboot_vm(cid)


# -- stemcells -----------------------------------------------------------------------------------


def test_a_light_stemcell_is_left_alone(bed: AwsBed) -> None:
    cpi, ami = cpi_on(bed), bed.account["ami"]
    bed.forget_calls()
    cpi.delete_stemcell(StemcellCid(f"{ami} light"))
    assert bed.calls() == []
    with pytest.raises(CloudError, match="no AMI for the region 'us-east-1'; it has eu-west-1"):
        cpi.create_stemcell("", {"ami": {"eu-west-1": ami}})
    with pytest.raises(CloudError, match=r"InvalidAMIID\.NotFound|no image"):
        cpi.create_stemcell("", {"ami": {"us-east-1": "ami-00000000"}})


def test_a_heavy_stemcell_becomes_an_image_and_goes_with_its_snapshot(
    bed: AwsBed, tmp_path: Path
) -> None:
    cpi, ec2 = cpi_on(bed), bed.client()
    image = tmp_path / "image"
    image.write_bytes(b"boot" + bytes(3 * BLOCK))
    cid = cpi.create_stemcell(str(image), {"name": "debian-12", "version": "1"})
    seen = ec2.describe_images(ImageIds=[cid])["Images"][0]
    assert seen["RootDeviceName"] == "/dev/xvda"
    assert seen["Name"].startswith("debian-12 1 ")
    snapshot = seen["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert bed.counts()["PutSnapshotBlock"] == 1
    make_heavy = cpi.create_vm(
        AgentId("heavy"), cid, {"instance_type": "t3.small"}, {"n": bed.network()}, [], ENV
    )
    cpi.delete_vm(make_heavy[0])
    cpi.delete_stemcell(cid)
    cpi.delete_stemcell(cid)
    assert snapshot not in bed.snapshots()
    with pytest.raises(VmCreationFailed, match="NotFound"):
        cpi.create_vm(
            AgentId("late"), cid, {"instance_type": "t3.small"}, {"n": bed.network()}, [], ENV
        )


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("PutSnapshotBlock", "ValidationException"),
        ("CompleteSnapshot", "ValidationException"),
        ("RegisterImage", "UnauthorizedOperation"),
    ],
)
def test_an_upload_that_fails_leaves_nothing(
    bed: AwsBed, tmp_path: Path, action: str, code: str
) -> None:
    (tmp_path / "image").write_bytes(b"boot")
    bed.fault({"action": action, "code": code, "status": 400})
    with pytest.raises(CloudError, match=action):
        cpi_on(bed).create_stemcell(str(tmp_path / "image"), {"name": "n"})
    assert bed.snapshots() == []
    assert bed.client().describe_images(Owners=["self"])["Images"] == []


# -- clouds fail ---------------------------------------------------------------------------------


def life(cpi: AwsCpi, bed: AwsBed, n: int = 0) -> None:
    """Let a VM and its disk do everything they can."""
    agent = f"life-{uuid.uuid4()}"
    cid, networks = make(cpi, bed, agent, f"10.80.3.{10 + n}")
    assert networks["default"]["ip"] == f"10.80.3.{10 + n}"
    disk = cpi.create_disk(1024, {}, cid, token=agent)
    cpi.set_disk_metadata(disk, {"deployment": "d"})
    hint = cpi.attach_disk(cid, disk)
    assert cpi.attach_disk(cid, disk) == hint
    assert cpi.get_disks(cid) == [disk]
    snapshot = cpi.snapshot_disk(disk, {"n": str(n)})
    cpi.set_vm_metadata(cid, {"name": f"web/{n}"})
    cpi.detach_disk(cid, disk)
    cpi.resize_disk(disk, 2048)
    cpi.delete_snapshot(snapshot)
    cpi.delete_vm(cid)
    cpi.delete_disk(disk)


def test_a_fifth_of_all_calls_throttled(bed: AwsBed) -> None:
    throttled = {"code": "RequestLimitExceeded", "status": 503, "share": 0.2, "count": None}
    bed.fault(throttled)
    cpi = cpi_on(bed)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: life(cpi, bed, n), range(8)))
    bed.fault()
    assert bed.alive() == []
    assert bed.volumes() == []
    assert bed.snapshots() == []


DROPPED = {"drop": True}


@pytest.mark.parametrize(
    ("action", "how"),
    [
        *((action, DROPPED) for action in ("RunInstances", "CreateVolume", "AttachVolume")),
        *((action, DROPPED) for action in ("CreateSnapshot", "DetachVolume", "ModifyVolume")),
        *((action, DROPPED) for action in ("TerminateInstances", "DeleteVolume", "CreateTags")),
        ("RunInstances", {"code": "InternalError"}),
        ("CreateSnapshot", {"code": "Unavailable", "status": 503}),
    ],
)
def test_a_lost_answer_doubles_nothing(bed: AwsBed, action: str, how: dict) -> None:
    bed.fault({"action": action, "acted": True, **how})
    life(cpi_on(bed), bed)
    counts = bed.counts()
    bed.fault()
    assert bed.alive() == []
    assert bed.volumes() == []
    assert bed.snapshots() == []
    if action in ("CreateSnapshot", "ModifyVolume", "DetachVolume"):
        assert counts[action] == 1, "what it did was looked up, not done again"


@pytest.mark.parametrize("action", ["AssociateAddress", "CreateRoute", "RegisterImage"])
def test_a_lost_answer_of_what_follows_doubles_nothing(
    bed: AwsBed, action: str, tmp_path: Path
) -> None:
    cpi, ec2 = cpi_on(bed), bed.client()
    ip = ec2.allocate_address(Domain="vpc")["PublicIp"]
    table = ec2.create_route_table(VpcId=bed.account["vpc"])["RouteTable"]["RouteTableId"]
    (tmp_path / "image").write_bytes(b"boot")
    bed.fault({"action": action, "acted": True, "drop": True})
    ami = cpi.create_stemcell(str(tmp_path / "image"), {"name": "n"})
    cid, _ = make(
        cpi,
        bed,
        f"lost-{action}",
        networks={"default": bed.network(), "vip": {"type": "vip", "ip": ip}},
        advertised_routes=[{"table_id": table, "destination": "10.98.0.0/16"}],
    )
    held = ec2.describe_addresses(PublicIps=[ip])["Addresses"][0]
    assert held["InstanceId"] == cid
    routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert len([one for one in routes if one["DestinationCidrBlock"] == "10.98.0.0/16"]) == 1
    named = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["n *"]}])
    assert [image["ImageId"] for image in named["Images"]] == [ami]
    cpi.delete_stemcell(ami)


def test_a_director_that_died_finds_what_it_made(bed: AwsBed) -> None:
    dead = cpi_on(bed, max_retries=2)
    bed.fault({"action": "RunInstances", "acted": True, "drop": True, "count": None})
    with pytest.raises(VmCreationFailed) as caught:
        make(dead, bed, "orphan", "10.80.4.5")
    assert caught.value.ok_to_retry
    bed.fault({"action": "CreateVolume", "acted": True, "drop": True, "count": None})
    with pytest.raises(CloudError):
        dead.create_disk(1024, {}, None, token="orphan-disk")
    bed.fault()
    heir = cpi_on(bed)
    cid = heir.find_vm(AgentId("orphan"))
    disk = heir.find_disk("orphan-disk")
    assert cid is not None
    assert disk is not None
    assert make(heir, bed, "orphan", "10.80.4.5")[0] == cid
    assert heir.create_disk(1024, {}, None, token="orphan-disk") == disk
    bed.fault({"action": "AttachVolume", "acted": True, "drop": True, "count": None})
    with pytest.raises(CloudError):
        dead.attach_disk(cid, disk)
    bed.fault()
    assert heir.attach_disk(cid, disk).endswith("/dev/sdf")
    assert len(bed.alive()) == 1
    assert [v["VolumeId"] for v in bed.volumes()].count(disk) == 1


def test_a_vm_asked_for_again_with_other_properties_is_the_same_vm(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    cid, _ = make(cpi, bed, "changed")
    assert make(cpi, bed, "changed", instance_type="t3.large")[0] == cid
    assert len(bed.alive()) == 1


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("AssociateAddress", "InvalidParameterCombination"),
        ("CreateRoute", "UnauthorizedOperation"),
        ("ModifyNetworkInterfaceAttribute", "UnauthorizedOperation"),
        ("DescribeTargetGroups", "TargetGroupNotFound"),
        ("RegisterTargets", "InvalidTarget"),
    ],
)
def test_a_create_that_fails_half_way_leaves_nothing(bed: AwsBed, action: str, code: str) -> None:
    cpi, ec2 = cpi_on(bed), bed.client()
    ip = ec2.allocate_address(Domain="vpc")["PublicIp"]
    table = ec2.create_route_table(VpcId=bed.account["vpc"])["RouteTable"]["RouteTableId"]
    name = f"half-{action}"[:32]
    bed.client("elbv2").create_target_group(
        Name=name, Protocol="TCP", Port=80, VpcId=bed.account["vpc"], TargetType="instance"
    )
    wanted: dict[str, Any] = {
        "networks": {"default": bed.network("10.80.4.6"), "vip": {"type": "vip", "ip": ip}},
        "source_dest_check": False,
        "advertised_routes": [{"table_id": table, "destination": "10.97.0.0/16"}],
        "lb_target_groups": [name],
    }
    bed.fault({"action": action, "code": code, "status": 400})
    with pytest.raises(VmCreationFailed) as caught:
        make(cpi, bed, f"half-{action}", **wanted)
    assert code in str(caught.value)
    assert not caught.value.ok_to_retry
    assert cpi.find_vm(AgentId(f"half-{action}")) is None
    assert bed.alive() == []
    assert bed.volumes() == []
    assert not ec2.describe_addresses(PublicIps=[ip])["Addresses"][0].get("InstanceId")
    routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert "10.97.0.0/16" not in [route["DestinationCidrBlock"] for route in routes]
    # The token of the VM that was ended is used up; asking again makes another.
    cid, given = make(cpi, bed, f"half-{action}", **wanted)
    assert given["default"]["ip"] == "10.80.4.6"
    assert [one["InstanceId"] for one in bed.alive()] == [cid]


def test_a_vm_that_aws_ends_as_it_starts_is_told_with_the_reason(bed: AwsBed) -> None:
    bed.options(doomed=1)
    cpi = cpi_on(bed)
    with pytest.raises(VmCreationFailed, match="Volume limit exceeded"):
        make(cpi, bed, "doomed", "10.80.4.7")
    make(cpi, bed, "doomed", "10.80.4.7")


def test_an_address_is_taken_over_from_a_vm_that_is_ending(bed: AwsBed) -> None:
    """A VM that somebody ended by hand holds its address while it shuts down."""
    cpi = cpi_on(bed)
    lost, _ = make(cpi, bed, "ended-by-hand", "10.80.4.9")
    bed.options(delay_s=0.4)
    bed.client().terminate_instances(InstanceIds=[lost])
    assert not cpi.has_vm(lost)
    cid, networks = make(cpi, bed, "its-heir", "10.80.4.9")
    assert networks["default"]["ip"] == "10.80.4.9"
    assert [one["InstanceId"] for one in bed.alive()] == [cid]


@pytest.mark.parametrize(
    ("code", "status", "again"),
    [
        ("InsufficientInstanceCapacity", 500, True),
        ("InstanceLimitExceeded", 400, False),
        ("VcpuLimitExceeded", 400, False),
        ("VolumeLimitExceeded", 400, False),
        ("UnauthorizedOperation", 403, False),
    ],
)
def test_refusals_tell_whether_to_try_again(
    bed: AwsBed, code: str, status: int, again: bool
) -> None:
    bed.fault({"action": "RunInstances", "code": code, "status": status})
    with pytest.raises(VmCreationFailed) as caught:
        make(cpi_on(bed), bed, f"refused-{code}")
    assert caught.value.ok_to_retry is again
    assert bed.counts()["RunInstances"] == 1
    assert bed.alive() == []


def test_no_room_for_a_disk(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    bed.fault({"action": "CreateVolume", "code": "VolumeLimitExceeded", "status": 400})
    with pytest.raises(NoDiskSpace):
        cpi.create_disk(1024, {}, None)
    disk = cpi.create_disk(1024, {}, None)
    bed.fault({"action": "ModifyVolume", "code": "VolumeLimitExceeded", "status": 400})
    with pytest.raises(NoDiskSpace):
        cpi.resize_disk(disk, 4096)


@pytest.mark.parametrize("fallback", [True, False])
def test_a_spot_instance_or_one_at_full_price(bed: AwsBed, fallback: bool) -> None:
    cpi = cpi_on(bed)
    spot = {"spot_bid_price": 0.01, "spot_ondemand_fallback": fallback}
    cid, _ = make(cpi, bed, f"spot-{fallback}", **spot)
    assert bed.alive()[0]["InstanceLifecycle"] == "spot"
    cpi.delete_vm(cid)
    bed.fault({"action": "RunInstances", "code": "SpotMaxPriceTooLow", "status": 400})
    if not fallback:
        with pytest.raises(VmCreationFailed, match="SpotMaxPriceTooLow"):
            make(cpi, bed, "dear-False", **spot)
        return
    cid, _ = make(cpi, bed, "dear-True", **spot)
    assert "InstanceLifecycle" not in bed.alive()[0]
    # Spot capacity is back: the VM that was made instead is found, not joined by another.
    assert make(cpi, bed, "dear-True", **spot)[0] == cid
    assert len(bed.alive()) == 1


def test_a_cloud_that_does_not_yet_know_what_it_made(bed: AwsBed) -> None:
    bed.options(unseen_s=0.4)
    cpi = cpi_on(bed)
    cid, _ = make(cpi, bed, "unseen")
    assert bed.counts()["RunInstances"] == 1
    assert cpi.has_vm(cid)
    bed.options(unseen_s=30)
    bed.fault({"action": "AssociateAddress", "code": "InvalidParameterValue", "status": 400})
    with ThreadPoolExecutor(1) as thread:
        # Its end must wait until it can be seen, or it would be left.
        later = thread.submit(make, cpi, bed, "unseen-2", "10.80.4.8")
        time.sleep(0.3)
        bed.options(unseen_s=0)
        assert later.result()[1]["default"]["ip"] == "10.80.4.8"


# -- disks ---------------------------------------------------------------------------------------


def test_disks_get_names_that_are_free(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    cid, _ = make(cpi, bed, "names")
    disks = [cpi.create_disk(1024, {}, cid) for _ in range(3)]
    hints = [cpi.attach_disk(cid, disk) for disk in disks]
    assert [hint.split()[1:] for hint in hints] == [
        [f"/dev/xvd{letter}", f"/dev/sd{letter}"] for letter in "fgh"
    ]
    for hint, disk in zip(hints, disks, strict=True):
        serial = disk.replace("-", "")
        by_id = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"
        assert hint.split()[0] == by_id
    cpi.detach_disk(cid, disks[1])
    other = cpi.create_disk(1024, {}, cid)
    assert cpi.attach_disk(cid, other).endswith("/dev/sdg")
    assert set(cpi.get_disks(cid)) == {disks[0], disks[2], other}


def test_disks_and_vms_that_are_gone(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    cid, _ = make(cpi, bed, "gone")
    disk = cpi.create_disk(1024, {}, cid)
    cpi.attach_disk(cid, disk)
    bed.client().terminate_instances(InstanceIds=[cid])
    time.sleep(0.1)
    assert not cpi.has_vm(cid)
    with pytest.raises(VmNotFound):
        cpi.attach_disk(cid, disk)
    with pytest.raises(DiskNotAttached):
        cpi.detach_disk(cid, disk)
    with pytest.raises(VmNotFound):
        cpi.get_disks(cid)
    cpi.delete_vm(cid)
    cpi.delete_disk(disk)
    cpi.delete_disk(disk)
    assert not cpi.has_disk(disk)


def test_disks_change_in_place_once(bed: AwsBed) -> None:
    cpi, ec2 = cpi_on(bed), bed.client()
    disk = cpi.create_disk(1024, {"type": "gp2"}, None)
    bed.forget_calls()
    assert cpi.update_disk(disk, 1024, {"type": "gp2"}) is None
    assert "ModifyVolume" not in bed.counts()
    faster = {"type": "gp3", "iops": 4000, "throughput": 250}
    cpi.update_disk(disk, 3000, faster)
    seen = ec2.describe_volumes(VolumeIds=[disk])["Volumes"][0]
    assert (seen["Size"], seen["VolumeType"], seen["Iops"], seen["Throughput"]) == (
        *(3, "gp3", 4000, 250),
    )
    with pytest.raises(NotSupportedByCpi, match="a short time ago"):
        cpi.resize_disk(disk, 9000)
    with pytest.raises(NotSupportedByCpi, match="encrypted"):
        cpi.update_disk(disk, 3000, {**faster, "encrypted": True})
    with pytest.raises(CloudError, match="did you mean 'iops'"):
        cpi.update_disk(disk, 3000, {"iop": 1})


def test_a_disk_moves_from_a_vm_that_is_just_ending(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    first, _ = make(cpi, bed, "first")
    second, _ = make(cpi, bed, "second")
    disk = cpi.create_disk(1024, {}, first)
    cpi.attach_disk(first, disk)
    bed.options(delay_s=0.3)
    bed.client().detach_volume(VolumeId=disk)
    cpi.attach_disk(second, disk)
    assert cpi.get_disks(second) == [disk]


# -- many ----------------------------------------------------------------------------------------


def test_no_call_lists_the_account(bed: AwsBed) -> None:
    """Each request names what it wants, so 1,500 other machines cost nothing."""
    cpi = cpi_on(bed)
    bed.forget_calls()
    life(cpi, bed)
    alone = bed.counts()
    for call in calls_of_cpi(bed):
        if call["action"].startswith("Describe"):
            named = [key for key in call["params"] if key.endswith((".1", ".1.Name"))]
            assert named, call["action"]
            assert "NextToken" not in call["params"], call["action"]
    assert set(alone) >= {"RunInstances", "DescribeInstances", "DescribeVolumes"}


def test_fifteen_hundred_other_machines() -> None:
    with AwsBed() as bed:
        bed.add_machines(1500)
        bed.options(delay_s=0)
        cpi = cpi_on(bed)
        bed.forget_calls()
        cid, _ = make(cpi, bed, "one-of-many", "10.80.14.5")
        assert cpi.find_vm(AgentId("one-of-many")) == cid
        assert cpi.find_vm(AgentId("nobody")) is None
        assert cpi.has_vm(cid)
        # Starting, the look whether it runs, three questions: no pages of other people's.
        assert bed.counts() == {"RunInstances": 1, "DescribeInstances": 4}


def test_fifty_at_once_do_not_wait_for_each_other(bed: AwsBed) -> None:
    """With every launch taking half a second, one lock of ours would take 25 seconds."""
    cpi = cpi_on(bed)
    bed.fault({"action": "RunInstances", "code": "", "delay_s": 0.5, "count": None})
    began = time.monotonic()
    with ThreadPoolExecutor(50) as threads:
        made = list(threads.map(lambda n: make(cpi, bed, f"many-{n}"), range(50)))
    took_s = time.monotonic() - began
    bed.fault()
    assert len({cid for cid, _ in made}) == 50
    assert took_s < 12, "launches were sent one after another"
    with ThreadPoolExecutor(25) as threads:
        list(threads.map(lambda one: cpi.delete_vm(one[0]), made))


def test_info_and_sizes_ask_nobody(bed: AwsBed) -> None:
    cpi = cpi_on(bed)
    bed.forget_calls()
    cpi.info()
    cpi.calculate_vm_cloud_properties({"cpu": 1, "ram": 512, "ephemeral_disk_size": 1024})
    for cid in ("", "vm-1", "i-../..", "i-" + "0" * 99):
        assert not cpi.has_vm(VmCid(cid))
        cpi.delete_vm(VmCid(cid))
    assert not cpi.has_disk(DiskCid("disk-1"))
    assert bed.calls() == []


def test_the_iam_policy_allows_every_action_seen() -> None:
    """Last in this module: by now every path was taken."""
    policy = json.loads((ROOT / "manifests/aws/iam-policy.json").read_text())
    allowed = {a for s in policy["Statement"] for a in s["Action"] if isinstance(s["Action"], list)}
    assert SEEN, "run the whole module"
    assert allowed >= SEEN
    unseen = allowed - SEEN
    assert unseen <= {"ec2:DescribeAvailabilityZones"}, "the policy allows what nothing asked for"

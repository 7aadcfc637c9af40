"""What is asked of AWS: pure parts, and the rights that takes."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from cpis.aws.ec2 import Ec2, Recent, filters, flattened, tag_filter
from cpis.aws.errors import judge
from cpis.aws.images import opened_image
from cpis.aws.launch import interfaces, launch_request
from cpis.aws.properties import read_settings, read_vm
from cpis.aws.sizes import Size, cheapest, require_own_storage, sizes_of, vm_properties
from cpis.aws.snapshot_writer import BLOCK, start_snapshot, write_snapshot
from cpis.aws.tags import client_token, tags_of
from cpis.aws.wire import endpoint, fault_of, make_driver
from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls
from director.model.ids import AgentId

ROOT = Path(__file__).parents[4]
SETTINGS = read_settings(
    {
        "region": "eu-central-1",
        "access_key_id": "a",
        "secret_access_key": "s",
        "default_key_name": "default-key",
        "default_security_groups": ["sg-0"],
    }
)


def manual(ip: str, subnet: str = "subnet-1", **more: Any) -> dict[str, Any]:
    return {"type": "manual", "ip": ip, "cloud_properties": {"subnet": subnet}, **more}


def request_for(networks: dict[str, Any], **properties: Any) -> dict[str, str]:
    vm = read_vm(SETTINGS, {"instance_type": "t3.small", **properties})
    wanted, _ = interfaces(SETTINGS, vm, networks)
    return flattened(
        launch_request(
            SETTINGS,
            vm,
            agent_id=AgentId("agent-1"),
            name="vm-agent-1",
            ami="ami-12345678",
            root_device="/dev/xvda",
            interfaces=wanted,
            user_data="#cloud-config\n",
        )
    )


def test_a_plain_launch() -> None:
    asked = request_for({"default": manual("10.0.0.5")})
    assert asked["ImageId"] == "ami-12345678"
    assert asked["KeyName"] == "default-key"
    assert asked["MetadataOptions.HttpTokens"] == "required"
    assert asked["NetworkInterface.1.PrivateIpAddress"] == "10.0.0.5"
    assert asked["NetworkInterface.1.SecurityGroupId.1"] == "sg-0"
    assert asked["NetworkInterface.1.DeleteOnTermination"] == "true"
    assert asked["BlockDeviceMapping.1.DeviceName"] == "/dev/sdb"
    assert asked["BlockDeviceMapping.1.Ebs.VolumeSize"] == "10"
    assert asked["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "true"
    tags = {asked[f"TagSpecification.1.Tag.{n}.Key"] for n in (1, 2)}
    assert tags == {"Name", "director:agent_id"}
    assert asked["TagSpecification.2.ResourceType"] == "volume"
    assert base64.b64decode(asked["UserData"]) == b"#cloud-config\n"
    absent = ("Placement", "IamInstanceProfile", "InstanceMarketOptions", "ClientToken")
    assert not [key for key in asked if key.startswith(absent)]


def test_everything_a_launch_can_have() -> None:
    asked = request_for(
        {"default": manual("10.0.0.5")},
        availability_zone="eu-central-1a",
        placement_group="pg",
        tenancy="dedicated",
        iam_instance_profile="arn:aws:iam::1:instance-profile/p",
        spot_bid_price=0.03,
        auto_assign_public_ip=False,
        security_groups=["sg-9"],
        root_disk={"size": 20000, "type": "io2", "iops": 500},
        ephemeral_disk={"use_instance_storage": True},
        metadata_options={"http_tokens": "optional", "http_put_response_hop_limit": 2},
    )
    wanted = {
        "Placement.AvailabilityZone": "eu-central-1a",
        "Placement.GroupName": "pg",
        "Placement.Tenancy": "dedicated",
        "IamInstanceProfile.Arn": "arn:aws:iam::1:instance-profile/p",
        "InstanceMarketOptions.MarketType": "spot",
        "InstanceMarketOptions.SpotOptions.MaxPrice": "0.03",
        "NetworkInterface.1.AssociatePublicIpAddress": "false",
        "NetworkInterface.1.SecurityGroupId.1": "sg-9",
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.VolumeSize": "20",
        "BlockDeviceMapping.1.Ebs.Iops": "500",
        "BlockDeviceMapping.2.VirtualName": "ephemeral0",
        "MetadataOptions.HttpTokens": "optional",
        "MetadataOptions.HttpPutResponseHopLimit": "2",
    }
    assert wanted.items() <= asked.items()


def test_the_network_with_the_gateway_comes_first() -> None:
    networks = {
        "inner": manual("10.1.0.5", "subnet-2", default=["dns"]),
        "outer": manual("10.0.0.5", default=["gateway"]),
        "vip": {"type": "vip", "ip": "198.51.100.1"},
        "dyn": {"type": "dynamic", "cloud_properties": {"subnet": "subnet-3"}},
    }
    vm = read_vm(SETTINGS, {"instance_type": "t3.small"})
    found, elastic = interfaces(SETTINGS, vm, networks)
    assert [(one.network, one.ip) for one in found] == [
        ("outer", "10.0.0.5"),
        ("inner", "10.1.0.5"),
        ("dyn", None),
    ]
    assert elastic == ("198.51.100.1",)
    with pytest.raises(CloudError, match="needs a manual or a dynamic network"):
        interfaces(SETTINGS, vm, {"vip": networks["vip"]})
    with pytest.raises(CloudError, match="2 vip networks"):
        interfaces(SETTINGS, vm, {**networks, "v2": networks["vip"]})


def test_user_data_that_is_too_long_is_refused_before_aws_is_asked() -> None:
    vm = read_vm(SETTINGS, {"instance_type": "t3.small"})
    with pytest.raises(CloudError, match="AWS takes 16384"):
        launch_request(
            SETTINGS,
            vm,
            agent_id=AgentId("a"),
            name="n",
            ami="ami-1",
            root_device=None,
            interfaces=(),
            user_data="x" * 16385,
        )


def test_parameters_are_flattened() -> None:
    nested = {"A": {"B": [{"C": True}, {"C": None}]}, "D": [], "E": ["x", 2], "F": None}
    assert flattened(nested) == {"A.B.1.C": "true", "E.1": "x", "E.2": "2"}
    assert flattened({"Filter": filters(vpc_id="v")})["Filter.1.Name"] == "vpc-id"
    assert tag_filter("k", "a*b?")["Value"] == ["a\\*b\\?"]


def test_every_page_is_read() -> None:
    pages = {
        None: "<r><set><item>a</item></set><nextToken>2</nextToken></r>",
        "2": "<r><set/><nextToken>3</nextToken></r>",
        "3": "<r><set><item>b</item></set></r>",
    }

    class Wire:
        def request(self, action: str, params: dict[str, str]) -> Any:
            assert params["Filter.1.Name"] == "x"
            return fromstring(pages[params.get("NextToken")])

    calls: Any = Calls(Wire, judge(lambda _: False))
    ec2 = Ec2(settings=SETTINGS, calls=calls, recent=Recent(), sleep=print, new_id=str)
    found = ec2.items("DescribeX", {"Filter": filters(x="y")}, "set/item")
    assert [one.text for one in found] == ["a", "b"]


def test_libcloud_is_imported_by_the_first_request() -> None:
    text = (
        "import sys; from cpis.aws import AwsCpi; cpi = AwsCpi({'region': 'eu-west-1',"
        " 'access_key_id': 'a', 'secret_access_key': 's'}); cpi.info(); cpi.has_vm('x')\n"
        "print([m for m in ('libcloud', 'boto3', 'botocore', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tags_keep_to_the_limits() -> None:
    found = {t["Key"]: t["Value"] for t in tags_of({"name": "web/0", "k": "v" * 300})}
    assert found == {"Name": "web/0", "k": "v" * 256}
    assert tags_of({"aws:x": "1", "AWS:y": "1", "director:agent_id": "other", "": "1"}) == []
    assert len(tags_of({str(n): "" for n in range(48)})) == 48
    with pytest.raises(CloudError, match="49 tags"):
        tags_of({str(n): "" for n in range(49)})


def test_client_tokens_differ_by_intent_and_fit() -> None:
    assert client_token("a", "", "0") == client_token("a", "", "0")
    assert len({client_token("a", "", "0"), client_token("a", "", "1"), client_token("b")}) == 3
    assert len(client_token("a" * 999)) == 64


@pytest.mark.parametrize(
    ("cpu", "ram", "name"),
    [
        (1, 256, "t3.nano"),
        (1, 3000, "t3.medium"),
        (2, 8192, "t3.large"),
        (2, 16384, "r7i.large"),
        (4, 4096, "c7i.xlarge"),
        (8, 32768, "t3.2xlarge"),
        (8, 64000, "r7i.2xlarge"),
        (96, 100000, "c7i.24xlarge"),
    ],
)
def test_the_smallest_type_that_fits(cpu: int, ram: int, name: str) -> None:
    assert cheapest(sizes_of("us-east-1"), cpu=cpu, ram_mb=ram).name == name


def test_sizes() -> None:
    found = vm_properties(
        {"cpu": 2, "ram": 4096, "ephemeral_disk_size": 5000}, sizes_of("a-region-libcloud-lacks-1")
    )
    assert found == {"instance_type": "t3.medium", "ephemeral_disk": {"size": 5000}}
    with pytest.raises(CloudError, match="no instance type has"):
        cheapest(sizes_of("us-east-1"), cpu=1000, ram_mb=1)
    with pytest.raises(CloudError, match="did you mean 'ram'"):
        vm_properties({"cpu": 1, "rma": 1, "ephemeral_disk_size": 1}, [])
    sizes = (Size(name="t3.small", cpu=2, ram_mb=2048),)
    require_own_storage("of-tomorrow.large", sizes)
    with pytest.raises(CloudError, match="no storage of its own"):
        require_own_storage("t3.small", sizes)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, (True, "ec2.eu-central-1.amazonaws.com", 443)),
        ("cloud.example", (True, "cloud.example", 443)),
        ("cloud.example:8773", (True, "cloud.example", 8773)),
        ("http://127.0.0.1:5555", (False, "127.0.0.1", 5555)),
        ("https://cloud.example/", (True, "cloud.example", 443)),
    ],
)
def test_endpoints(given: str | None, found: tuple[bool, str, int]) -> None:
    own = {"region": "eu-central-1", "access_key_id": "a", "secret_access_key": "s"}
    assert endpoint(read_settings({**own, "ec2_endpoint": given})) == found


def test_regions_libcloud_does_not_know_are_signed_for_all_the_same() -> None:
    from cpis.aws.credentials import Credentials

    own = {"region": "xx-future-9", "access_key_id": "a", "secret_access_key": "s"}
    driver = make_driver(read_settings(own), Credentials(access_key_id="a", secret_access_key="s"))
    assert driver.region_name == "xx-future-9"
    assert driver.connection.host == "ec2.xx-future-9.amazonaws.com"
    china = read_settings({**own, "region": "cn-north-1"})
    assert endpoint(china)[1] == "ec2.cn-north-1.amazonaws.com.cn"


def test_answers_that_are_not_ec2s() -> None:
    found = fault_of(502, "<html><body>Bad gateway")
    assert (found.code, found.status) == ("", 502)
    text = (
        "<Response><Errors><Error><Code>A.B</Code><Message>why</Message></Error></Errors>"
        "<RequestID>1</RequestID></Response>"
    )
    assert (fault_of(400, text).code, fault_of(400, text).message) == ("A.B", "why")


class Ebs:
    """EBS's direct API, as far as an image needs it."""

    def __init__(self) -> None:
        self.blocks: dict[int, bytes] = {}
        self.asked: dict[str, Any] = {}

    def start_snapshot(self, **asked: Any) -> dict[str, Any]:
        self.asked.update(asked)
        return {"SnapshotId": "snap-1"}

    def put_snapshot_block(self, **asked: Any) -> None:
        assert len(asked["BlockData"]) == asked["DataLength"] == BLOCK
        self.blocks[asked["BlockIndex"]] = asked["BlockData"]

    def complete_snapshot(self, **asked: Any) -> None:
        self.asked.update(asked)


@pytest.mark.parametrize("packed", ["raw", "tar", "tgz"])
def test_images_are_written_without_their_zeros(packed: str, tmp_path: Path) -> None:
    disk = b"first" + bytes(BLOCK - 5) + bytes(3 * BLOCK) + b"last"
    file = tmp_path / "image"
    if packed == "raw":
        file.write_bytes(disk)
    else:
        with tarfile.open(file, "w:gz" if packed == "tgz" else "w") as tar:
            for name, content in (("notes", b"n"), ("root.img", disk)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    ebs = Ebs()
    with opened_image(str(file)) as image:
        snapshot = start_snapshot(ebs, image.size, description="d", token="t")
        assert snapshot == "snap-1"
        write_snapshot(ebs, snapshot, image)
    assert sorted(ebs.blocks) == [0, 4]
    assert ebs.blocks[4].rstrip(b"\0") == b"last"
    assert (ebs.asked["VolumeSize"], ebs.asked["ChangedBlocksCount"]) == (1, 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "set ami"),
        (gzip.compress(b"not a tarball"), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_images_that_are_none(content: bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "image"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CloudError) as caught, opened_image(str(file)):
        pass
    assert says in str(caught.value)


def actions_in_the_code() -> set[str]:
    """Return the actions the CPI's modules name, as IAM does."""
    found = set()
    for file in (ROOT / "cpis/aws").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= {
            f"ec2:{one}"
            for one in re.findall(r'(?:\.ask|\.items|\.ask_once)\(\s*"([A-Z]\w+)"', text)
        }
        found |= {f"elasticloadbalancing:{one}" for one in re.findall(r'_ask\(\s*"(\w+)"', text)}
        found |= {f"ebs:{one}" for one in re.findall(r'asked\(\s*"ebs",\s*"(\w+)"', text)}
    return found


def test_the_iam_policy_allows_what_the_code_asks_for_and_no_more() -> None:
    policy = json.loads((ROOT / "manifests/aws/iam-policy.json").read_text())
    allowed = [
        action
        for statement in policy["Statement"]
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    ]
    assert len(allowed) == len(set(allowed))
    # EC2 asks for this one by itself, for instance profiles.
    assert set(allowed) - {"iam:PassRole"} == actions_in_the_code()

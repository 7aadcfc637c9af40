"""What the AWS CPI accepts, and that its README says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cpis.aws import AwsCpi
from cpis.aws.properties import Ebs, read_disk, read_network, read_settings, read_vm
from cpis.aws.schemas import DISK, NETWORK, TABLES, VM
from cpis.contract import CloudError, NotSupportedByCpi
from cpis.properties import check_properties

ROOT = Path(__file__).parents[4]
GOOD = {"region": "eu-central-1", "access_key_id": "a", "secret_access_key": "s"}
SETTINGS = read_settings(GOOD)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"region": "eu-central-1"}, "credentials_source: env_or_profile"),
        ({**GOOD, "regoin": "x"}, "did you mean 'region'"),
        ({"access_key_id": "a", "secret_access_key": "s"}, "lacks the property 'region'"),
        ({**GOOD, "region": "eu central"}, "'region'"),
        ({**GOOD, "role_arn": "arn:aws:iam::1:role/x"}, "does not assume roles"),
        ({**GOOD, "credentials_source": "vault"}, "'static', 'env_or_profile'"),
        ({**GOOD, "metadata_options": {"http_token": "required"}}, "did you mean 'http_tokens'"),
        ({**GOOD, "ec2_endpoint": "http://a/b c"}, "ec2_endpoint"),
    ],
)
def test_own_properties_that_are_refused(properties: dict, says: str) -> None:
    with pytest.raises(CloudError) as caught:
        AwsCpi(properties)
    assert says in str(caught.value)


def test_secrets_are_not_shown() -> None:
    secret = {"secret_access_key": "hidden-1", "session_token": "hidden-2"}
    assert "hidden" not in repr(read_settings({**GOOD, **secret}))
    with pytest.raises(CloudError) as caught:
        read_settings({**GOOD, "secret_access_key": ["hidden-3"]})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({}, "lacks the property 'instance_type'"),
        ({"instance_typ": "t3.small"}, "did you mean 'instance_type'"),
        ({"instance_type": "t", "ephemeral_disk": {"sise": 1}}, "'ephemeral_disk.sise'"),
        ({"instance_type": "t", "root_disk": {"type": "io1"}}, "lacks 'iops'"),
        ({"instance_type": "t", "root_disk": {"type": "gp2", "iops": 100}}, "has 'iops'"),
        ({"instance_type": "t", "root_disk": {"type": "gp2", "throughput": 200}}, "type: gp3"),
        ({"instance_type": "t", "root_disk": {"kms_key_arn": "arn:aws:kms:k"}}, "encrypted: true"),
        ({"instance_type": "t", "raw_instance_storage": True}, "BOSH's agent"),
        (
            {"instance_type": "t", "ephemeral_disk": {"use_instance_storage": True, "size": 1}},
            "stands beside 'size'",
        ),
        ({"instance_type": "t", "tenancy": "mine"}, "'default', 'dedicated', 'host'"),
        ({"instance_type": "t", "advertised_routes": [{"table_id": "rtb-1"}]}, "destination"),
    ],
)
def test_vm_properties_that_are_refused(properties: dict, says: str) -> None:
    with pytest.raises(CloudError) as caught:
        read_vm(SETTINGS, properties)
    assert says in str(caught.value)


def test_every_vm_property_of_bosh_is_taken() -> None:
    disk = {"size": 1025, "type": "gp3", "iops": 4000, "throughput": 200, "encrypted": True}
    given = {
        "instance_type": "m7i.large",
        "availability_zone": "eu-central-1a",
        "security_groups": ["sg-1", "by-name"],
        "key_name": "k",
        "spot_bid_price": 0.03,
        "spot_ondemand_fallback": True,
        "elbs": ["e"],
        "lb_target_groups": ["g"],
        "iam_instance_profile": "p",
        "placement_group": "pg",
        "tenancy": "dedicated",
        "auto_assign_public_ip": True,
        "advertised_routes": [{"table_id": "rtb-1", "destination": "10.9.0.0/16"}],
        "raw_instance_storage": False,
        "source_dest_check": False,
        "ephemeral_disk": {**disk, "kms_key_arn": "arn:aws:kms:k"},
        "root_disk": disk,
        "metadata_options": {"http_tokens": "optional"},
    }
    assert set(given) == set(VM["properties"])
    read = read_vm(SETTINGS, given)
    assert read.root_disk == Ebs(
        size_mb=1025, type="gp3", iops=4000, throughput=200, encrypted=True
    )
    assert read.root_disk.size_gib == 2
    assert read.ephemeral_disk is not None
    assert read.ephemeral_disk.kms_key_arn == "arn:aws:kms:k"


def test_what_is_left_out() -> None:
    read = read_vm(SETTINGS, {"instance_type": "t3.small", "key_name": None})
    assert read.ephemeral_disk == Ebs(size_mb=10240)
    assert read.root_disk is None
    assert read.source_dest_check is True
    own = read_vm(
        SETTINGS, {"instance_type": "m6id.large", "ephemeral_disk": {"use_instance_storage": True}}
    )
    assert own.ephemeral_disk is None


def test_encryption_is_inherited_and_can_be_refused() -> None:
    settings = read_settings({**GOOD, "encrypted": True, "kms_key_arn": "arn:aws:kms:k"})
    read = read_vm(settings, {"instance_type": "t3.small"})
    assert read.root_disk == Ebs(encrypted=True, kms_key_arn="arn:aws:kms:k")
    assert read.ephemeral_disk is not None
    assert read.ephemeral_disk.encrypted
    plain = read_disk(settings, {"encrypted": False}, 1024).ebs
    assert plain == Ebs(size_mb=1024, encrypted=False)


def test_networks_and_disks() -> None:
    with pytest.raises(CloudError, match=r"network 'a' lacks the property 'subnet'"):
        read_network("a", {})
    with pytest.raises(CloudError, match="did you mean 'subnet'"):
        read_network("a", {"subnet": "subnet-1", "subnets": "x"})
    assert read_network("a", {"subnet": "subnet-1"}).security_groups == ()
    with pytest.raises(CloudError, match="use a size above 0"):
        read_disk(SETTINGS, {}, 0)
    assert issubclass(NotSupportedByCpi, CloudError)


def rows(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the README's table rows of a schema."""
    for name, one in schema["properties"].items():
        kind = "list" if one["type"] == "array" else one["type"]
        need = " (required)" if name in schema["required"] else ""
        yield f"| `{prefix}{name}` | {kind} | {one['description']}{need} |"
        if one["type"] == "object":
            yield from rows(one, f"{prefix}{name}.")
        elif one.get("items", {}).get("type") == "object":
            yield from rows(one["items"], f"{prefix}{name}[].")


def test_the_readme_lists_every_property_as_the_schemas_do() -> None:
    text = (ROOT / "cpis/aws/README.md").read_text(encoding="utf-8")
    for heading, schema in TABLES.items():
        head = f"### {heading}\n\n| property | type | meaning |\n|---|---|---|\n"
        assert head + "\n".join(rows(schema)) + "\n\n" in text, heading


def test_the_sample_configs_fit_the_schemas() -> None:
    folder = ROOT / "manifests/aws"
    text = (folder / "cloud-config.yml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace("((", "").replace("))", ""))
    for az in config["azs"]:
        for vm in config["vm_types"]:
            check_properties(vm["name"], VM, {**az["cloud_properties"], **vm["cloud_properties"]})
    for extension in config["vm_extensions"]:
        given = {"instance_type": "t3.small", **extension["cloud_properties"]}
        check_properties(extension["name"], VM, given)
    for disk in config["disk_types"]:
        check_properties(disk["name"], DISK, disk["cloud_properties"])
    for subnet in config["networks"][0]["subnets"]:
        check_properties("subnet", NETWORK, subnet["cloud_properties"])
    read_settings(yaml.safe_load((folder / "director.yml").read_text())["cpi"]["properties"])
    for cpi in yaml.safe_load((folder / "cpi-config.yml").read_text())["cpis"]:
        read_settings(cpi["properties"])

"""What RunInstances is asked for: pure, one request with everything a VM is made with."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpis.aws.properties import Ebs, Settings, VmProperties, read_network
from cpis.aws.tags import AGENT, tagged
from cpis.contract import CloudError, Networks
from director.model.ids import AgentId

EPHEMERAL_DEVICE = "/dev/sdb"
LONGEST_USER_DATA = 16 * 1024
_METADATA = {
    "http_tokens": "HttpTokens",
    "http_put_response_hop_limit": "HttpPutResponseHopLimit",
    "http_endpoint": "HttpEndpoint",
    "http_protocol_ipv6": "HttpProtocolIpv6",
    "instance_metadata_tags": "InstanceMetadataTags",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A network interface to be made; ``ip`` None lets AWS choose the address. ``groups`` are ids
    or names."""

    network: str
    subnet: str
    ip: str | None = None
    groups: tuple[str, ...] = ()


def interfaces(
    settings: Settings, vm: VmProperties, networks: Networks
) -> tuple[tuple[Interface, ...], tuple[str, ...]]:
    """Return a VM's interfaces, the one with the default gateway first, and its Elastic IPs."""
    found: list[tuple[bool, Interface]] = []
    elastic: list[str] = []
    for name, network in networks.items():
        properties = network.get("cloud_properties") or {}
        if network.get("type") == "vip":
            if properties:
                raise CloudError(
                    f"the vip network '{name}' has cloud properties", fix="it takes none"
                )
            elastic.append(str(network["ip"]))
            continue
        read = read_network(name, properties)
        dynamic = network.get("type") == "dynamic"
        one = Interface(
            network=name,
            subnet=read.subnet,
            ip=None if dynamic else str(network["ip"]),
            groups=vm.security_groups or read.security_groups or settings.default_security_groups,
        )
        found.append(("gateway" not in (network.get("default") or ()), one))
    if not found:
        raise CloudError("a VM on AWS needs a manual or a dynamic network", fix="add one")
    if len(elastic) > 1:
        raise CloudError(
            f"the VM has {len(elastic)} vip networks", fix="use one: AWS maps one address"
        )
    found.sort(key=lambda pair: pair[0])
    return tuple(one for _, one in found), tuple(elastic)


def launch_request(
    settings: Settings,
    vm: VmProperties,
    *,
    agent_id: AgentId,
    name: str,
    ami: str,
    root_device: str | None,
    interfaces: tuple[Interface, ...],
    user_data: str,
) -> dict[str, Any]:
    """Return the parameters of RunInstances but its client token.

    ``root_device`` is needed where the VM has a ``root_disk``. The interfaces name groups by id.
    """
    data = user_data.encode()
    if len(data) > LONGEST_USER_DATA:
        raise CloudError(
            f"the VM's user data has {len(data)} bytes, and AWS takes {LONGEST_USER_DATA}",
            fix="put less into the 'env' of the instance group",
        )
    tags = {"Name": name, AGENT: agent_id}
    return {
        "ImageId": ami,
        "InstanceType": vm.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": vm.key_name or settings.default_key_name,
        "UserData": base64.b64encode(data).decode(),
        "IamInstanceProfile": _profile(
            vm.iam_instance_profile or settings.default_iam_instance_profile
        ),
        "Placement": {
            "AvailabilityZone": vm.availability_zone,
            "GroupName": vm.placement_group,
            "Tenancy": vm.tenancy,
        },
        "InstanceMarketOptions": _market(vm.spot_bid_price),
        "MetadataOptions": _metadata_options(settings, vm),
        "BlockDeviceMapping": _mappings(vm, root_device),
        "NetworkInterface": [
            _interface(n, one, vm.auto_assign_public_ip if n == 0 else None)
            for n, one in enumerate(interfaces)
        ],
        "TagSpecification": [tagged("instance", tags), tagged("volume", tags)],
    }


def ebs_request(disk: Ebs) -> dict[str, Any]:
    """Return a volume's parameters, as mappings name them."""
    return {
        "VolumeSize": disk.size_gib,
        "VolumeType": disk.type,
        "Iops": disk.iops,
        "Throughput": disk.throughput,
        "Encrypted": disk.encrypted,
        "KmsKeyId": disk.kms_key_arn,
    }


def _mappings(vm: VmProperties, root_device: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if vm.root_disk is not None:
        root = {**ebs_request(vm.root_disk), "DeleteOnTermination": True}
        found.append({"DeviceName": root_device, "Ebs": root})
    if vm.ephemeral_disk is None:
        # Types with NVMe disks show them anyhow and ignore this line; older ones need it.
        found.append({"DeviceName": EPHEMERAL_DEVICE, "VirtualName": "ephemeral0"})
    else:
        ephemeral = {**ebs_request(vm.ephemeral_disk), "DeleteOnTermination": True}
        found.append({"DeviceName": EPHEMERAL_DEVICE, "Ebs": ephemeral})
    return found


def _interface(index: int, one: Interface, public: bool | None) -> dict[str, Any]:
    return {
        "DeviceIndex": index,
        "SubnetId": one.subnet,
        "PrivateIpAddress": one.ip,
        "SecurityGroupId": one.groups,
        "AssociatePublicIpAddress": public,
        "DeleteOnTermination": True,
    }


def _profile(given: str | None) -> dict[str, str]:
    if given is None:
        return {}
    return {"Arn" if given.startswith("arn:") else "Name": given}


def _market(price: float | None) -> dict[str, Any]:
    if price is None:
        return {}
    options = {"MaxPrice": f"{price:g}", "SpotInstanceType": "one-time"}
    return {"MarketType": "spot", "SpotOptions": options}


def _metadata_options(settings: Settings, vm: VmProperties) -> Mapping[str, Any]:
    merged = {"http_tokens": "required", **settings.metadata_options, **vm.metadata_options}
    return {_METADATA[key]: value for key, value in merged.items()}

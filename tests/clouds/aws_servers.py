"""The test AWS as the bridge sees it, through boto3: other eyes than the CPI's."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network
from typing import Any

from clouds.aws.bed import AwsBed
from clouds.bridge import Server

_HERE = ("pending", "running", "stopping", "stopped")


class AwsServers:
    """Satisfies :class:`clouds.bridge.Cloud`."""

    def __init__(self, bed: AwsBed) -> None:
        self._bed = bed
        self._ec2 = bed.client()
        self._user_data: dict[str, str] = {}
        self._subnets: dict[str, IPv4Network] = {}

    def servers(self) -> Mapping[str, Server]:
        attached = self._attached()
        pages = self._ec2.get_paginator("describe_instances").paginate()
        found = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
        here = [i for i in found if i["State"]["Name"] in _HERE]
        reboots = self._reboots() if here else Counter()
        return {
            i["InstanceId"]: self._server(i, attached[i["InstanceId"]], reboots[i["InstanceId"]])
            for i in here
        }

    def volumes(self) -> Mapping[str, int]:
        return {v["VolumeId"]: v["Size"] * 1024 for v in self._volumes()}

    def _server(self, instance: Any, volumes: dict[str, str], reboots: int) -> Server:
        name, subnet = instance["InstanceId"], self._subnet(instance["SubnetId"])
        root = instance["RootDeviceName"]
        return Server(
            id=name,
            image=instance["ImageId"],
            address=IPv4Interface(f"{instance['PrivateIpAddress']}/{subnet.prefixlen}"),
            gateway=str(subnet[1]),
            user_data=self._user_data_of(name),
            volumes={v: _paths(v, device) for v, device in volumes.items() if device != root},
            reboots=reboots,
        )

    def _attached(self) -> Mapping[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for volume in self._volumes():
            for held in volume["Attachments"]:
                if held["State"] in ("attaching", "attached"):
                    found[held["InstanceId"]][volume["VolumeId"]] = held["Device"]
        return found

    def _volumes(self) -> list[Any]:
        found: list[Any] = self._ec2.describe_volumes()["Volumes"]
        return found

    def _reboots(self) -> Counter[str]:
        asked = [c["params"] for c in self._bed.calls() if c["action"] == "RebootInstances"]
        return Counter(v for p in asked for k, v in p.items() if k.startswith("InstanceId"))

    def _user_data_of(self, instance: str) -> str:
        if instance not in self._user_data:
            answer = self._ec2.describe_instance_attribute(
                InstanceId=instance, Attribute="userData"
            )
            data = base64.b64decode(answer["UserData"]["Value"])
            self._user_data[instance] = data.decode()
        return self._user_data[instance]

    def _subnet(self, name: str) -> IPv4Network:
        if name not in self._subnets:
            (found,) = self._ec2.describe_subnets(SubnetIds=[name])["Subnets"]
            self._subnets[name] = IPv4Network(found["CidrBlock"])
        return self._subnets[name]


def _paths(volume: str, device: str) -> tuple[str, ...]:
    """Return what a volume is called in an instance on Nitro: an NVMe disk."""
    serial = volume.replace("-", "")
    number = ord(device[-1]) - ord("a")
    return (f"/dev/nvme{number}n1", f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}")

"""A cloud of which only libcloud's standard API is used passes the conformance suite."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from libcloud.common.types import ProviderError
from libcloud.compute.base import (
    Node,
    NodeDriver,
    NodeImage,
    NodeSize,
    StorageVolume,
    VolumeSnapshot,
)
from libcloud.compute.types import NodeState, StorageVolumeState

from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import CloudError, VmCreationFailed
from cpis.libcloud_base.calls import Calls, Patience
from cpis.libcloud_base.cpi import LibcloudCpi
from cpis.libcloud_base.judge import judge
from cpis.libcloud_base.provider import Disk, Vm, WantedDisk, WantedVm, name_of
from cpis.libcloud_base.standard import standard
from director.model.ids import AgentId, StemcellCid, VmCid

ENV = {
    "bosh": {
        "authorized_keys": ["ssh-ed25519 AAAA test"],
        "ssh_host_key": {"private_key": "PRIVATE", "public_key": "ssh-ed25519 AAAA host"},
    }
}


class Account:
    """What all drivers of one cloud share."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.volumes: dict[str, StorageVolume] = {}
        self.snapshots: dict[str, VolumeSnapshot] = {}
        self.numbers = itertools.count(1)
        self.lock = threading.RLock()
        self.fail_start = False
        self.lose_create = False

    def id(self) -> str:
        return f"id-{next(self.numbers)}"


class LittleDriver(NodeDriver):
    """A libcloud driver as every provider has one, over an account in memory."""

    name = "Little"

    def __init__(self, account: Account) -> None:  # a real one takes keys
        self.account = account

    def list_nodes(self) -> list[Node]:
        return list(self.account.nodes.values())

    def list_images(self) -> list[NodeImage]:
        return [NodeImage("image-1", "debian", self)]

    def list_sizes(self) -> list[NodeSize]:
        return [
            NodeSize("large", "large", 8192, 0, 0, 2.0, self, extra={"vcpus": 4}),
            NodeSize("small", "small", 1024, 0, 0, 1.0, self, extra={"vcpus": 1}),
        ]

    def create_node(self, name: str, size: NodeSize, image: NodeImage, ip: str) -> Node:
        if image.id != "image-1":
            raise ProviderError("no such image", http_code=404)
        with self.account.lock:
            if any(ip in node.private_ips for node in self.account.nodes.values()):
                raise ProviderError("the address is taken", http_code=409)
            ip = ip or f"10.1.0.{next(self.account.numbers)}"
            state = NodeState.ERROR if self.account.fail_start else NodeState.RUNNING
            node = Node(self.account.id(), name, state, [], [ip], self)
            self.account.nodes[node.id] = node
        if self.account.lose_create:
            raise ConnectionResetError(104, "reset")
        return node

    def destroy_node(self, node: Node) -> bool:
        for volume in self.account.volumes.values():
            if volume.extra["node"] == node.id:
                volume.extra["node"] = None
        return self.account.nodes.pop(node.id, None) is not None

    def reboot_node(self, node: Node) -> bool:
        return node.id in self.account.nodes

    def list_volumes(self) -> list[StorageVolume]:
        return list(self.account.volumes.values())

    def create_volume(self, size: int, name: str) -> StorageVolume:
        state = StorageVolumeState.AVAILABLE
        volume = StorageVolume(self.account.id(), name, size, self, state, extra={"node": None})
        self.account.volumes[volume.id] = volume
        return volume

    def destroy_volume(self, volume: StorageVolume) -> bool:
        return self.account.volumes.pop(volume.id, None) is not None

    def attach_volume(self, node: Node, volume: StorageVolume, device: str | None = None) -> bool:
        volume.extra["node"] = node.id
        return True

    def detach_volume(self, volume: StorageVolume) -> bool:
        volume.extra["node"] = None
        return True

    def create_volume_snapshot(self, volume: StorageVolume, name: str) -> VolumeSnapshot:
        snapshot = VolumeSnapshot(self.account.id(), self, name=name)
        self.account.snapshots[snapshot.id] = snapshot
        return snapshot

    def destroy_volume_snapshot(self, snapshot: VolumeSnapshot) -> bool:
        if self.account.snapshots.pop(snapshot.id, None) is None:
            raise ProviderError("no such snapshot", http_code=404)
        return True


# -- from here on: all that a CPI for this cloud needs ----------------------------------------


def little_cpi(account: Account) -> LibcloudCpi:
    patience = Patience(tries=4, first_s=0.001, longest_s=0.01)
    calls: Calls[LittleDriver] = Calls(lambda: LittleDriver(account), judge, patience=patience)
    provider = standard(
        "Little",
        calls,
        node_arguments=node_arguments,
        volume_arguments=volume_arguments,
        holder=lambda volume: VmCid(volume.extra["node"]) if volume.extra["node"] else None,
        device=device,
        size_properties=lambda size, _ephemeral_mb: {"size": size.name},
    )
    vm_schema = {"type": "object", "properties": {"size": {"type": "string"}}}
    return LibcloudCpi(replace(provider, vm_schema=vm_schema))


def node_arguments(driver: LittleDriver, wanted: WantedVm) -> dict[str, Any]:
    name = wanted.properties.get("size", "small")
    return {
        "size": next(size for size in driver.list_sizes() if size.name == name),
        "image": NodeImage(wanted.stemcell, "", driver),
        "ip": next(iter(wanted.networks.values())).get("ip", ""),
    }


def volume_arguments(driver: LittleDriver, wanted: WantedDisk) -> dict[str, Any]:
    return {}


def device(vm: Vm, disk: Disk) -> str:
    return f"/dev/disk/by-id/little-{disk.cid}"


# ----------------------------------------------------------------------------------------------


@pytest.fixture
def account() -> Account:
    return Account()


def networks(n: int) -> dict[str, Any]:
    return {"default": {"type": "manual", "ip": f"10.0.0.{10 + n}"}}


def create(cpi: LibcloudCpi) -> VmCid:
    stemcell = StemcellCid("image-1")
    return cpi.create_vm(AgentId("a"), stemcell, {}, networks(0), [], ENV)[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(account: Account, check: Callable) -> None:
    given = Given(
        image_path="",
        networks=networks,
        env=ENV,
        stemcell_properties={"image_id": "image-1"},
        light=True,
        disk_mb=1024,
        dynamic={"default": {"type": "dynamic"}},
        again=lambda: little_cpi(account),
    )
    run_check(check, little_cpi(account), given, StemcellCid("image-1"))
    assert account.nodes == {}
    assert account.volumes == {}


def test_a_vm_that_fails_is_removed_and_may_be_asked_for_again(account: Account) -> None:
    account.fail_start = True
    with pytest.raises(VmCreationFailed, match="did not start") as caught:
        create(little_cpi(account))
    assert caught.value.ok_to_retry
    assert account.nodes == {}


def test_a_vm_whose_creation_was_lost_is_found(account: Account) -> None:
    account.lose_create = True
    assert create(little_cpi(account)) == "id-1"
    assert len(account.nodes) == 1


def test_a_disk_cannot_grow_where_nothing_says_how(account: Account) -> None:
    cpi = little_cpi(account)
    disk = cpi.create_disk(1024, {}, None)
    with pytest.raises(CloudError, match="of 1 GiB cannot become one of 2 GiB"):
        cpi.resize_disk(disk, 2048)


def test_the_cheapest_size_that_fits(account: Account) -> None:
    cpi = little_cpi(account)
    assert cpi.calculate_vm_cloud_properties({"cpu": 1, "ram": 512}) == {"size": "small"}
    assert cpi.calculate_vm_cloud_properties({"cpu": 2, "ram": 512}) == {"size": "large"}
    with pytest.raises(CloudError, match="no size with 5 CPUs"):
        cpi.calculate_vm_cloud_properties({"cpu": 5})
    with pytest.raises(CloudError, match="unknown property 'cpus'"):
        cpi.calculate_vm_cloud_properties({"cpus": 5})


def test_names_are_dns_labels_that_keep_a_uuid_readable() -> None:
    agent = "3b241101-e2bb-4255-8caf-4136c566a962"
    assert name_of("vm", agent) == f"vm-{agent}"
    odd = [name_of("disk", text) for text in ("A b", "A_b", "x" * 60, "x" * 61, "ünï", "-a")]
    assert len(set(odd)) == len(odd)
    assert all(len(name) <= 63 and name.isascii() and "_" not in name for name in odd)

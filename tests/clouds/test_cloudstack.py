"""The CloudStack CPI against CloudStack's API on loopback."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clouds.cloudstack_cloud import (
    FAST,
    KEY,
    NETWORK,
    OTHER_ZONE,
    SECRET,
    SMALL,
    TEMPLATE,
    CloudStackCloud,
)

from cpis.cloudstack import CloudStackCpi
from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import CloudError, VmCreationFailed
from cpis.libcloud_base.calls import Patience
from cpis.libcloud_base.cpi import LibcloudCpi
from director.model.ids import AgentId, StemcellCid, VmCid

QUICK = Patience(tries=12, budget_s=20.0, first_s=0.005, longest_s=0.05)
ENV = {
    "bosh": {
        "authorized_keys": ["ssh-ed25519 AAAA test"],
        "ssh_host_key": {"private_key": "SECRET HOST KEY", "public_key": "ssh-ed25519 AAAA host"},
    }
}
VM = {"compute_offering": "small", "disk": 2048}
DYNAMIC = {"default": {"type": "dynamic", "cloud_properties": {"name": "net"}}}


def networks(n: int) -> dict[str, Any]:
    properties = {"name": "net"}
    return {"default": {"type": "manual", "ip": f"10.0.0.{10 + n}", "cloud_properties": properties}}


@pytest.fixture
def cloud() -> Iterator[CloudStackCloud]:
    with CloudStackCloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def steady() -> Iterator[CloudStackCloud]:
    with CloudStackCloud() as cloud:
        yield cloud


def cpi_of(cloud: CloudStackCloud, **more: Any) -> LibcloudCpi:
    properties = {
        "endpoint": cloud.endpoint,
        "api_key": KEY,
        "secret_access_key": SECRET,
        "default_zone": "z1",
        "default_disk_offering": "disks",
        "default_ephemeral_disk_offering": "disks",
        **more,
    }
    return CloudStackCpi(properties, patience=QUICK)


def given(cloud: CloudStackCloud) -> Given:
    return Given(
        image_path="",
        networks=networks,
        env=ENV,
        stemcell_properties={"template": "debian-12"},
        light=True,
        cloud_properties=VM,
        disk_mb=1024,
        dynamic=DYNAMIC,
        again=lambda: cpi_of(cloud),
    )


def create(cpi: LibcloudCpi, agent: str = "a1", n: int = 0, **more: Any) -> VmCid:
    arguments: dict[str, Any] = {
        "agent_id": AgentId(agent),
        "stemcell_cid": StemcellCid(TEMPLATE),
        "cloud_properties": VM,
        "networks": networks(n),
        "disk_cids": [],
        "env": ENV,
        **more,
    }
    return cpi.create_vm(**arguments)[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(steady: CloudStackCloud, check: Callable) -> None:
    run_check(check, cpi_of(steady), given(steady), StemcellCid(TEMPLATE))
    assert steady.vms == {}
    assert steady.volumes == {}


def test_a_second_vm_costs_few_calls(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    create(cpi)
    cloud.calls.clear()
    create(cpi, "a2", 1)
    assert cloud.calls.pop("queryAsyncJobResult") >= 1
    assert cloud.calls == {"listVirtualMachines": 1, "deployVirtualMachine": 1}


@pytest.mark.parametrize(
    "check",
    [
        c
        for c in CHECKS
        if c.__name__
        in (
            "attaches_and_detaches",
            "makes_and_deletes_a_vm",
            "snapshots_disks",
            "serves_many_threads",
        )
    ],
    ids=lambda check: check.__name__,
)
def test_a_fifth_of_all_requests_throttled(cloud: CloudStackCloud, check: Callable) -> None:
    cloud.throttled_share = 0.2
    run_check(check, cpi_of(cloud), given(cloud), StemcellCid(TEMPLATE))
    assert cloud.calls["throttled"] > 0
    assert (cloud.vms, cloud.volumes, cloud.snapshots) == ({}, {}, {})


@pytest.mark.parametrize(
    "action",
    [
        "deployVirtualMachine",
        "createVolume",
        "attachVolume",
        "detachVolume",
        "createSnapshot",
        "deleteSnapshot",
        "destroyVirtualMachine",
        "deleteVolume",
        "queryAsyncJobResult",
    ],
)
def test_an_answer_that_is_lost_after_the_server_acted(cloud: CloudStackCloud, action: str) -> None:
    cpi = cpi_of(cloud)
    cloud.lose_answers(action)
    vm = create(cpi)
    disk = cpi.create_disk(1024, {}, vm, token="t")
    cpi.attach_disk(vm, disk)
    assert list(cpi.get_disks(vm)) == [disk]
    cpi.detach_disk(vm, disk)
    snapshot = cpi.snapshot_disk(disk, {"reason": "check"})
    assert (len(cloud.vms), len(cloud.volumes), len(cloud.snapshots)) == (1, 2, 1)
    cpi.delete_snapshot(snapshot)
    cpi.delete_vm(vm)
    cpi.delete_disk(disk)
    assert (cloud.vms, cloud.volumes, cloud.snapshots) == ({}, {}, {})


def test_a_vm_that_does_not_start_is_removed_with_its_disk(cloud: CloudStackCloud) -> None:
    cloud.full = True
    with pytest.raises(VmCreationFailed, match="Unable to create a deployment") as caught:
        create(cpi_of(cloud))
    assert caught.value.ok_to_retry
    assert (cloud.vms, cloud.volumes) == ({}, {})
    assert cloud.calls["deployVirtualMachine"] == 1


def test_what_a_vm_is_ordered_with(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud, default_key_name="ops")
    properties = {
        "zone": "z2",
        "compute_offering": SMALL,
        "root_disk_gb": 30,
        "security_groups": ["web", "internal"],
    }
    create(cpi, cloud_properties=properties)
    order = cloud.orders[0]
    assert order["zoneid"] == OTHER_ZONE
    assert order["serviceofferingid"] == SMALL
    assert order["rootdisksize"] == "30"
    assert order["keypair"] == "ops"
    assert order["securitygroupnames"] == "web,internal"
    assert order["iptonetworklist[0].networkid"] == NETWORK
    assert order["iptonetworklist[0].ip"] == "10.0.0.10"
    assert "diskofferingid" not in order
    assert base64.b64decode(order["userdata"]).startswith(b"#cloud-config")


def test_a_deleted_vm_that_is_not_expunged_is_gone_all_the_same(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud, force_expunge=False)
    vm = create(cpi, networks=DYNAMIC)
    cpi.delete_vm(vm)
    assert cloud.vms[vm]["state"] == "Destroyed"
    assert not cpi.has_vm(vm)
    assert cpi.find_vm(AgentId("a1")) is None


def test_a_longer_name_is_not_taken_for_the_vm(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    create(cpi, "a12")
    assert cpi.find_vm(AgentId("a1")) is None


@pytest.mark.parametrize("lost", ["none", "createTags", "deleteTags"])
def test_tags_change_and_stay(cloud: CloudStackCloud, lost: str) -> None:
    cpi = cpi_of(cloud)
    cloud.lose_answers(lost)
    vm = create(cpi)
    cpi.set_vm_metadata(vm, {"name": "web/0", "index": "0"})
    cpi.set_vm_metadata(vm, {"name": "web/1", "index": "0"})
    tags = {one["key"]: one["value"] for one in cloud.vms[vm]["tags"]}
    assert tags == {"name": "web/1", "index": "0"}


def test_device_hints_hold_the_serial_number_that_kvm_gives(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi)
    disk = cpi.create_disk(1024, {}, vm)
    serial = disk.replace("-", "")[:20]
    assert cpi.attach_disk(vm, disk).split() == [
        f"/dev/disk/by-id/virtio-{serial}",
        f"/dev/disk/by-id/*{serial}",
    ]


def test_another_offering_is_a_new_disk(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    disk = cpi.create_disk(1024, {"disk_offering": "fast"}, None)
    assert cloud.volumes[disk]["diskofferingid"] == FAST
    with pytest.raises(CloudError, match="another kind"):
        cpi.update_disk(disk, 2048, {})
    assert cpi.update_disk(disk, 2048, {"disk_offering": "fast"}) is None
    assert cloud.volumes[disk]["size"] == 2 * 1024**3


@pytest.mark.parametrize(
    ("own", "found"),
    [
        ({}, {"compute_offering": "large", "disk": 10240}),
        (
            {"default_ephemeral_disk_offering": None},
            {"compute_offering": "large", "root_disk_gb": 20},
        ),
    ],
)
def test_sizes(cloud: CloudStackCloud, own: dict, found: dict) -> None:
    asked = {"cpu": 2, "ram": 1024, "ephemeral_disk_size": 10240}
    assert cpi_of(cloud, **own).calculate_vm_cloud_properties(asked) == found


@pytest.mark.parametrize(
    ("change", "says", "fix"),
    [
        ({"networks": {"v": {"type": "vip", "ip": "192.0.2.1"}}}, "'v' is of type 'vip'", "NAT"),
        ({"networks": {"n": {"type": "dynamic"}}}, "names no network", "set 'name'"),
        ({"cloud_properties": {"compute_offering": "big"}}, "no serviceoffering 'big'", "lists"),
        ({"cloud_properties": {}}, "lacks the property 'compute_offering'", "set"),
        ({"cloud_properties": {**VM, "dsk": 1}}, "unknown property 'dsk'", "did you mean 'disk'"),
    ],
)
def test_what_is_refused(cloud: CloudStackCloud, change: dict, says: str, fix: str) -> None:
    with pytest.raises(CloudError) as caught:
        create(cpi_of(cloud), **change)
    assert says in caught.value.what
    assert fix in (caught.value.fix or "")
    assert cloud.vms == {}


def test_an_offering_made_anew_under_its_name_is_found(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    create(cpi)
    with pytest.raises(CloudError):
        create(cpi, "a2", 1, stemcell_cid="none")
    cloud.calls.clear()
    create(cpi, "a2", 1)
    assert cloud.calls["listServiceOfferings"] == 1


def test_stemcells(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud)
    assert cpi.create_stemcell("", {"template": "debian-12", "hypervisor": "kvm"}) == TEMPLATE
    assert cpi.create_stemcell("", {"template": TEMPLATE}) == TEMPLATE
    with pytest.raises(CloudError, match="no template 'none'"):
        cpi.create_stemcell("", {"template": "none"})
    with pytest.raises(CloudError, match="light stemcells only"):
        cpi.create_stemcell("/tmp/image", {})


def test_wrong_keys_say_what_to_check(cloud: CloudStackCloud) -> None:
    cpi = cpi_of(cloud, secret_access_key="other")
    with pytest.raises(CloudError) as caught:
        cpi.has_vm(VmCid("x"))
    assert "credentials" in (caught.value.fix or "")

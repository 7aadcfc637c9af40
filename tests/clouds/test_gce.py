"""The GCE CPI against Compute Engine's API on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clouds.gce_cloud import FAMILY, IMAGE, PROJECT, ZONES, GceCloud

from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import CloudError, VmCreationFailed
from cpis.gce import GceCpi
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
VM = {"machine_type": "e2-medium"}
DYNAMIC = {"default": {"type": "dynamic", "cloud_properties": {}}}


def networks(n: int) -> dict[str, Any]:
    properties = {"network_name": "net", "subnetwork_name": "sub", "tags": ["internal"]}
    return {"default": {"type": "manual", "ip": f"10.0.0.{10 + n}", "cloud_properties": properties}}


@pytest.fixture
def cloud() -> Iterator[GceCloud]:
    with GceCloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def steady() -> Iterator[GceCloud]:
    with GceCloud() as cloud:
        yield cloud


def cpi_of(cloud: GceCloud, **more: Any) -> LibcloudCpi:
    properties = {
        "project": PROJECT,
        "json_key": cloud.json_key,
        "zone": ZONES[0],
        "endpoint": cloud.url,
        **more,
    }
    return GceCpi(properties, patience=QUICK, auth_endpoint=cloud.url)


def given(cloud: GceCloud) -> Given:
    return Given(
        image_path="",
        networks=networks,
        env=ENV,
        stemcell_properties={"image_family": "debian-12", "image_project": "debian-cloud"},
        light=True,
        cloud_properties=VM,
        disk_cloud_properties={"type": "pd-ssd"},
        disk_mb=1024,
        dynamic=DYNAMIC,
        again=lambda: cpi_of(cloud),
    )


def create(cpi: LibcloudCpi, agent: str = "a1", n: int = 0, **more: Any) -> VmCid:
    arguments: dict[str, Any] = {
        "agent_id": AgentId(agent),
        "stemcell_cid": StemcellCid(IMAGE),
        "cloud_properties": VM,
        "networks": networks(n),
        "disk_cids": [],
        "env": ENV,
        **more,
    }
    return cpi.create_vm(**arguments)[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(steady: GceCloud, check: Callable) -> None:
    cpi = cpi_of(steady)
    run_check(check, cpi, given(steady), StemcellCid(IMAGE))
    assert steady.instances == {}
    assert steady.disks == {}


def test_a_vm_costs_few_calls(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    create(cpi)
    polls = cloud.calls.pop("operations.get")
    assert polls >= 1
    assert cloud.calls == {
        "/o/oauth2/token": 1,
        "instances.insert": 1,
        "instances.aggregatedList": 1,
    }


def test_all_threads_share_one_token(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    with ThreadPoolExecutor(20) as threads:
        cids = set(threads.map(lambda n: create(cpi, f"a{n}", n), range(20)))
    assert len(cids) == 20
    assert cloud.calls["/o/oauth2/token"] == 1


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
def test_a_fifth_of_all_requests_throttled(cloud: GceCloud, check: Callable) -> None:
    cloud.throttled_share = 0.2
    run_check(check, cpi_of(cloud), given(cloud), StemcellCid(IMAGE))
    assert cloud.calls["throttled"] > 0
    cloud.throttled_share = 0.0
    assert cloud.instances == {}
    assert cloud.disks == {}
    assert cloud.snapshots == {}


@pytest.mark.parametrize(
    "action",
    [
        "instances.insert",
        "disks.insert",
        "instances.attachDisk",
        "instances.detachDisk",
        "disks.createSnapshot",
        "instances.delete",
        "disks.delete",
        "operations.get",
    ],
)
def test_an_answer_that_is_lost_after_the_server_acted(cloud: GceCloud, action: str) -> None:
    cpi = cpi_of(cloud)
    cloud.lose_answers(action)
    vm = create(cpi)
    disk = cpi.create_disk(1024, {}, vm, token="t")
    cpi.attach_disk(vm, disk)
    assert list(cpi.get_disks(vm)) == [disk]
    cpi.detach_disk(vm, disk)
    snapshot = cpi.snapshot_disk(disk, {})
    assert len(cloud.instances) == len(cloud.disks) == len(cloud.snapshots) == 1
    cpi.delete_snapshot(snapshot)
    cpi.delete_vm(vm)
    cpi.delete_disk(disk)
    assert (cloud.instances, cloud.disks, cloud.snapshots) == ({}, {}, {})


def test_a_found_vm_may_be_on_a_later_page(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi)
    cloud.empty_pages = 3
    assert cpi.has_vm(vm)


def test_a_zone_out_of_reach_is_not_taken_for_a_missing_vm(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi)
    cloud.unreachable = ZONES[0]
    with pytest.raises(CloudError, match="cannot be reached") as caught:
        cpi.has_vm(vm)
    assert caught.value.ok_to_retry


def test_a_zone_without_room_says_so_and_leaves_nothing(cloud: GceCloud) -> None:
    cloud.exhausted = True
    with pytest.raises(VmCreationFailed, match="no capacity") as caught:
        create(cpi_of(cloud))
    assert caught.value.ok_to_retry
    assert "another zone" in (caught.value.fix or "")
    assert cloud.instances == {}


def test_a_stopped_vm_is_started_by_a_reboot_and_made_anew_by_create(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi)
    cloud.instances[vm]["status"] = "TERMINATED"
    cpi.reboot_vm(vm)
    assert cloud.instances[vm]["status"] == "RUNNING"
    assert cloud.resets == []
    cloud.instances[vm]["status"] = "TERMINATED"
    with pytest.raises(VmCreationFailed) as caught:
        create(cpi)
    assert caught.value.ok_to_retry
    assert create(cpi) == vm
    assert cloud.instances[vm]["status"] == "RUNNING"


def test_what_an_instance_is_made_of(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud, default_root_disk_type="pd-balanced")
    properties = {
        "zone": ZONES[1],
        "cpu": 2,
        "ram": 5000,
        "root_disk_size_gb": 30,
        "tags": ["web"],
        "labels": {"team": "A"},
        "preemptible": True,
        "ip_forwarding": True,
        "service_scopes": ["devstorage.read_only"],
    }
    vip = {"public": {"type": "vip", "ip": "203.0.113.9"}}
    vm = create(cpi, cloud_properties=properties, networks={**vip, **networks(3)})
    made = cloud.instances[vm]
    assert made["zone"].endswith(ZONES[1])
    assert made["machineType"].endswith("/custom-2-5120")
    assert made["tags"] == {"items": ["internal", "web"]}
    assert made["labels"] == {"team": "a"}
    assert made["canIpForward"] is True
    assert made["scheduling"]["onHostMaintenance"] == "TERMINATE"
    assert made["serviceAccounts"] == [
        {"email": "default", "scopes": ["https://www.googleapis.com/auth/devstorage.read_only"]}
    ]
    nic = made["networkInterfaces"][0]
    assert nic["networkIP"] == "10.0.0.13"
    assert nic["subnetwork"] == f"projects/{PROJECT}/regions/europe-west1/subnetworks/sub"
    assert nic["accessConfigs"][0]["natIP"] == "203.0.113.9"
    data = {item["key"]: item["value"] for item in made["metadata"]["items"]}
    assert data["user-data"].startswith("#cloud-config")


def test_a_disk_is_made_where_its_vm_is(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi, cloud_properties={**VM, "zone": ZONES[1]})
    disk = cpi.create_disk(1500, {"type": "pd-ssd"}, vm)
    assert cloud.disks[disk]["zone"].endswith(ZONES[1])
    assert cloud.disks[disk]["sizeGb"] == "2"
    hints = cpi.attach_disk(vm, disk).split()
    assert hints[0] == f"/dev/disk/by-id/google-{disk}"


def test_labels_add_to_those_there_are(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    vm = create(cpi)
    cpi.set_vm_metadata(vm, {"deployment": "cf", "Name": "web/0", "0bad": "x"})
    cpi.set_vm_metadata(vm, {"index": "0"})
    assert cloud.instances[vm]["labels"] == {"deployment": "cf", "name": "web-0", "index": "0"}


@pytest.mark.parametrize("action", ["instances.setLabels", "disks.setLabels"])
def test_labels_whose_answer_was_lost(cloud: GceCloud, action: str) -> None:
    cpi = cpi_of(cloud)
    vm, disk = create(cpi), cpi.create_disk(1024, {}, None)
    cloud.lose_answers(action)
    cpi.set_vm_metadata(vm, {"index": "0"})
    cpi.set_disk_metadata(disk, {"index": "0"})
    assert cloud.instances[vm]["labels"] == cloud.disks[disk]["labels"] == {"index": "0"}


def test_stemcells(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    url = f"https://www.googleapis.com/compute/v1/{IMAGE}"
    mf = {"name": "bosh-google", "infrastructure": "google", "image_url": url}
    assert cpi.create_stemcell("", mf) == IMAGE
    assert FAMILY.endswith("family/debian-12")
    with pytest.raises(CloudError, match="not found"):
        cpi.create_stemcell("", {"image_url": "projects/p/global/images/none"})
    with pytest.raises(CloudError, match="light stemcells only") as caught:
        cpi.create_stemcell("/tmp/image", {"raw_disk_sha1": "x"})
    assert "gcloud compute images create" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("requirements", "machine_type", "disk_gb"),
    [
        ({"cpu": 1, "ram": 1024, "ephemeral_disk_size": 10240}, "e2-medium", 20),
        ({"cpu": 4, "ram": 8192}, "e2-standard-4", 10),
        ({"cpu": 5, "ram": 1024}, "n2-standard-8", 10),
    ],
)
def test_sizes(cloud: GceCloud, requirements: dict, machine_type: str, disk_gb: int) -> None:
    found = cpi_of(cloud).calculate_vm_cloud_properties(requirements)
    assert found == {"machine_type": machine_type, "root_disk_size_gb": disk_gb}


def test_what_no_size_holds(cloud: GceCloud) -> None:
    with pytest.raises(CloudError, match="no size with 99 CPUs"):
        cpi_of(cloud).calculate_vm_cloud_properties({"cpu": 99, "ram": 1})


def test_another_type_of_disk_is_a_new_disk(cloud: GceCloud) -> None:
    cpi = cpi_of(cloud)
    disk = cpi.create_disk(1024, {"type": "pd-ssd"}, None)
    with pytest.raises(CloudError, match="another kind"):
        cpi.update_disk(disk, 2048, {})
    assert cpi.update_disk(disk, 2048, {"type": "pd-ssd"}) is None
    assert cloud.disks[disk]["sizeGb"] == "2"


def test_wrong_credentials(cloud: GceCloud) -> None:
    with GceCloud() as other:
        cpi = GceCpi(
            {"project": PROJECT, "json_key": cloud.json_key, "endpoint": other.url},
            patience=QUICK,
            auth_endpoint=cloud.url,
        )
        assert cpi.has_vm(VmCid("vm-x")) is False  # both emulators give the same token
    with pytest.raises(CloudError, match="no service account key"):
        GceCpi({"project": PROJECT, "json_key": "{}"})

"""The OpenStack CPI against a real control plane, which throttles and loses answers when told."""

from __future__ import annotations

import base64
import json
import sys
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from clouds.openstack import project
from clouds.openstack.fixtures import TestCloud, cloud, running_cloud
from clouds.openstack.layout import SECRET
from clouds.openstack.proxy import Fault
from local_machines import Keys
from served import served

from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import CloudError, Networks, NoDiskSpace, NotSupportedByCpi, VmCreationFailed
from cpis.external import ExternalCpi
from cpis.libcloud_base.calls import Patience
from cpis.openstack import OpenStackCpi
from director.model.ids import AgentId, StemcellCid, VmCid

__all__ = ["cloud", "running_cloud"]
pytestmark = pytest.mark.openstack

ENV = Keys().env
TINY = {"instance_type": "m1.tiny"}
THROUGH_SERVE = {"repeats_the_same_vm", "attaches_and_detaches"}
"""The checks that run through the executable too: its protocol has tests of its own."""


def manual(cloud: TestCloud, n: int, **more: Any) -> Networks:
    own = {"net_id": cloud.net_id, **more}
    address = f"10.10.{2 + n // 200}.{1 + n % 200}"
    shape = {"type": "manual", "ip": address, "netmask": "255.255.0.0", "gateway": "10.10.0.1"}
    return {"default": {**shape, "dns": [], "default": ["gateway"], "cloud_properties": own}}


def dynamic(cloud: TestCloud) -> Networks:
    own = {"net_id": cloud.net_id}
    return {"default": {"type": "dynamic", "default": ["gateway"], "cloud_properties": own}}


def cpi_of(cloud: TestCloud, **more: Any) -> OpenStackCpi:
    given = project.properties(cloud.layout, ignore_server_availability_zone=True, **more)
    cpi = OpenStackCpi(given, patience=Patience(tries=30, first_s=0.05, longest_s=0.5))
    cpi._cloud.api.grace_s = 1.0
    return cpi


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stemcell's image as BOSH ships it: a tgz that holds ``root.img``."""
    path = tmp_path_factory.mktemp("stemcell") / "image"
    with tarfile.open(path, "w:gz") as archive:
        root = tarfile.TarInfo("root.img")
        root.size = 3 << 20
        archive.addfile(root, BytesIO(b"root" + b"\0" * (root.size - 4)))
    return path


@pytest.fixture(scope="module")
def stemcell(running_cloud: TestCloud, image: Path) -> StemcellCid:
    properties = {"disk_format": "raw", "name": "noble", "version": "1.2", "os_type": "linux"}
    return cpi_of(running_cloud).create_stemcell(str(image), properties)


@pytest.fixture
def vm(cloud: TestCloud, stemcell: StemcellCid) -> Callable[..., tuple[VmCid, Networks]]:
    def create(
        cpi: OpenStackCpi,
        agent: str,
        networks: Networks,
        properties: dict[str, Any] | None = None,
        **bosh: Any,
    ) -> tuple[VmCid, Networks]:
        env = {"bosh": {**ENV["bosh"], **bosh}}
        return cpi.create_vm(
            AgentId(agent), stemcell, {**TINY, **(properties or {})}, networks, [], env
        )

    return create


def given(cloud: TestCloud, image: Path) -> Given:
    return Given(
        image_path=str(image),
        networks=lambda n: manual(cloud, n),
        env=ENV,
        stemcell_properties={"disk_format": "raw"},
        cloud_properties={**TINY, "availability_zone": "z1"},
        disk_mb=1024,
        dynamic=dynamic(cloud),
        snapshots_outlive_disks=False,
        again=lambda: cpi_of(cloud),
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(
    cloud: TestCloud, image: Path, stemcell: StemcellCid, check: Callable[..., None]
) -> None:
    """In process, and every call through the JSON of serve.py and external.py on its way."""
    with served(cpi_of(cloud)) as cpi:
        run_check(check, cpi, given(cloud, image), stemcell)


@pytest.mark.parametrize(
    "check", [c for c in CHECKS if c.__name__ in THROUGH_SERVE], ids=lambda check: check.__name__
)
def test_conforms_as_an_executable(
    cloud: TestCloud,
    image: Path,
    stemcell: StemcellCid,
    check: Callable[..., None],
    tmp_path: Path,
) -> None:
    file = tmp_path / "openstack.json"
    given_properties = project.properties(cloud.layout, ignore_server_availability_zone=True)
    file.write_text(json.dumps(given_properties))
    cpi = ExternalCpi(
        {
            "exec_path": str(Path(sys.executable).with_name("director-cpi")),
            "arguments": ["openstack", "--properties", str(file)],
        }
    )
    run_check(check, cpi, given(cloud, image), stemcell)


def test_a_server_is_as_asked_for(cloud, vm):
    own = project.api(cloud.layout)
    admin = project.api(cloud.layout, "admin")
    group = {"security_group": {"name": "web"}}
    web = own.send("POST", "network", "/security-groups", group, "make")["security_group"]["id"]
    cpi = cpi_of(cloud, human_readable_vm_names=True, config_drive="disk")
    properties = {
        "availability_zone": "z2",
        "security_groups": ["web"],
        "allowed_address_pairs": "10.10.99.99",
        "boot_from_volume": True,
        "root_disk": {"size": 7, "type": "fast"},
    }
    vip = {"type": "vip", "ip": cloud.floating_ip, "cloud_properties": {}}
    second = {**manual(cloud, 51)["default"], "default": []}
    networks = {**manual(cloud, 50), "second": second, "vip": vip}
    cid, _ = vm(cpi, "as-asked", networks, properties, group="d-dep-web")
    cpi.set_vm_metadata(cid, {"name": "web/0", "index": "0"})
    cpi.set_vm_metadata(cid, {"deployment": "d" * 300})

    server = admin.get("compute", f"/servers/{cid}", "look")["server"]
    assert server["name"] == "web/0"
    assert server["metadata"]["index"] == "0"
    assert server["metadata"]["deployment"] == "d" * 255
    assert server["OS-EXT-AZ:availability_zone"] == "z2"
    assert server["config_drive"] == "True"
    user_data = base64.b64decode(server["OS-EXT-SRV-ATTR:user_data"]).decode()
    assert user_data.startswith("#cloud-config")
    assert cpi.find_vm(AgentId("as-asked")) == cid
    assert list(cpi.get_disks(cid)) == []
    (root,) = own.pages("volume", "/volumes/detail", "volumes", "list")
    assert (root["size"], root["volume_type"]) == (7, "fast")
    ports = own.pages("network", "/ports", "ports", "list", device_id=cid)
    assert {port["fixed_ips"][0]["ip_address"] for port in ports} == {
        networks["default"]["ip"],
        second["ip"],
    }
    assert all(port["security_groups"] == [web] for port in ports)
    assert ports[0]["allowed_address_pairs"][0]["ip_address"] == "10.10.99.99"
    path = "/floatingips"
    (floating,) = own.pages("network", path, "floatingips", "list")
    assert floating["fixed_ip_address"] == networks["default"]["ip"]

    again, _ = vm(cpi, "as-asked", networks, properties, group="d-dep-web")
    assert again == cid
    with pytest.raises(VmCreationFailed, match="is on another port"):
        vm(cpi, "thief", {**manual(cloud, 52), "vip": vip})
    cpi.delete_vm(cid)
    own.delete("network", f"/security-groups/{web}", "delete")


def test_stemcells(cloud, image, stemcell):
    cpi, own = cpi_of(cloud), project.api(cloud.layout)
    stored = own.get("image", f"/images/{stemcell}", "look")
    assert (stored["name"], stored["os_type"], stored["size"]) == ("noble/1.2", "linux", 3 << 20)
    light = cpi.create_stemcell(str(image), {"image_id": stemcell})
    assert cpi.create_stemcell(str(image), {"image_name": "noble/1.2"}) == light
    cpi.delete_stemcell(light)
    assert own.get("image", f"/images/{stemcell}", "look")["status"] == "active"
    with pytest.raises(CloudError, match="does not exist"):
        cpi.create_stemcell(str(image), {"image_id": "nothing"})


def test_a_failed_upload_leaves_no_image(cloud, image):
    cloud.front.faults.append(Fault(calls="PUT /image/", kind=500, times=1))
    before = len(project.api(cloud.layout).pages("image", "/images", "images", "list"))
    with pytest.raises(CloudError):
        cpi_of(cloud).create_stemcell(str(image), {"disk_format": "raw"})
    images = project.api(cloud.layout).pages("image", "/images", "images", "list")
    assert len(images) == before


@pytest.mark.parametrize("kind", ["drop", "cut"])
def test_a_vm_whose_answers_are_lost_is_made_once(cloud, vm, kind):
    """Every request that makes or deletes something loses its first answer."""
    for call in ("POST /network/.*ports", "POST /compute/.*servers$", "POST /compute/.*groups"):
        cloud.front.faults.append(Fault(calls=call, kind=kind))
    for call in ("DELETE /compute", "DELETE /network"):
        cloud.front.faults.append(Fault(calls=call, kind="drop"))
    cpi = cpi_of(cloud)
    failed: list[VmCreationFailed] = []
    for _ in range(4):
        try:
            cid, _ = vm(cpi, f"lost-{kind}", dynamic(cloud), group="lost")
            break
        except VmCreationFailed as error:
            failed.append(error)
            left = project.left(cloud.layout)
            assert not [one for one in left if not one.startswith("spread-")]
    # What was cut off before the service acted is not there: that is an error that may be retried.
    assert len(failed) == (3 if kind == "cut" else 0)
    assert all(error.ok_to_retry for error in failed)
    own = project.api(cloud.layout)
    assert len(own.pages("compute", "/servers", "servers", "list")) == 1
    assert len(own.pages("network", "/ports", "ports", "list", device_id=cid)) == 1
    assert all(fault.struck for fault in cloud.front.faults[:3])
    cpi.delete_vm(cid)


def test_disks_whose_answers_are_lost_are_made_once(cloud, vm):
    cpi = cpi_of(cloud)
    cid, _ = vm(cpi, "disks", manual(cloud, 60))
    cloud.front.faults += [
        Fault(calls=call, kind="drop")
        for call in (
            "POST /block-storage/.*volumes$",
            "POST /block-storage/.*snapshots$",
            "POST /compute/.*os-volume_attachments",
            "DELETE /compute/.*os-volume_attachments",
            "DELETE /block-storage/.*snapshots",
            "DELETE /block-storage/.*volumes",
        )
    ]
    disk = cpi.create_disk(1024, {}, cid, token="once")
    cpi.attach_disk(cid, disk)
    assert list(cpi.get_disks(cid)) == [disk]
    snapshot = cpi.snapshot_disk(disk, {"a": "b"})
    cpi.delete_snapshot(snapshot)
    cpi.detach_disk(cid, disk)
    cpi.update_disk(disk, 2048, {"type": "fast"})
    cpi.delete_disk(disk)
    cpi.delete_vm(cid)
    assert all(fault.struck for fault in cloud.front.faults)


def test_a_crash_at_any_call_leaves_nothing_double(cloud, vm):
    """The process dies after the service acted, at each changing call in turn."""

    class Killed(BaseException):
        pass

    def dying(at: int) -> OpenStackCpi:
        cpi, count = cpi_of(cloud), 0
        send = cpi._cloud.api.calls.ask

        def ask(action, request, *, repeatable=True):
            nonlocal count
            answer = send(action, request, repeatable=repeatable)
            if not action.startswith("look"):
                count += 1
                # All that comes after its death fails too, as the clean-up would.
                if count >= at:
                    raise Killed(action)
            return answer

        cpi._cloud.api.calls.ask = ask  # type: ignore[method-assign]
        return cpi

    fresh, died = cpi_of(cloud), 0
    for at in (1, 4, 5):
        try:
            vm(dying(at), f"crash-{at}", manual(cloud, 61), group="crash")
        except Killed:
            died += 1
        fresh.find_vm(AgentId(f"crash-{at}"))
        cid, _ = vm(fresh, f"crash-{at}", manual(cloud, 61), group="crash")
        own = project.api(cloud.layout)
        assert [row["id"] for row in own.pages("compute", "/servers", "servers", "list")] == [cid]
        if at > 3:
            with pytest.raises(Killed):
                dying(2).delete_vm(cid)
        fresh.delete_vm(cid)
    assert died >= 2


def test_throttled_calls(cloud, vm):
    """Every fifth call is refused; nobody notices."""
    cloud.front.share = 0.2
    cpi = cpi_of(cloud)
    with ThreadPoolExecutor(4) as threads:
        vms = list(threads.map(lambda n: vm(cpi, f"busy-{n}", manual(cloud, 70 + n))[0], range(4)))
        disk = cpi.create_disk(1024, {}, vms[0], token="busy")
        cpi.attach_disk(vms[0], disk)
        cpi.reboot_vm(vms[1])
        list(threads.map(cpi.delete_vm, vms))
    cpi.delete_disk(disk)
    calls = sum(cloud.front.counted().values())
    assert 0.1 * calls < cloud.front.refused < 0.35 * calls


def test_no_host_and_quotas(cloud, vm):
    admin, cpi = project.api(cloud.layout, "admin"), cpi_of(cloud)
    huge = {"name": "huge", "vcpus": 1, "ram": 2_000_000, "disk": 1}
    flavor = admin.send("POST", "compute", "/flavors", {"flavor": huge}, "make")["flavor"]["id"]
    with pytest.raises(VmCreationFailed, match="no host has room") as caught:
        vm(cpi, "huge", manual(cloud, 80), {"instance_type": "huge"})
    assert caught.value.ok_to_retry
    admin.delete("compute", f"/flavors/{flavor}", "delete")

    token = cpi._cloud.session.token()
    quotas = f"/os-quota-sets/{token.project_id}"
    for service, quota, error, act in (
        ("compute", {"cores": 0}, VmCreationFailed, lambda: vm(cpi, "q", manual(cloud, 81))),
        ("volume", {"gigabytes": 0}, NoDiskSpace, lambda: cpi.create_disk(1024, {}, None)),
    ):
        admin.send("PUT", service, quotas, {"quota_set": quota}, "set")
        with pytest.raises(error, match="quota") as refused:
            act()
        assert not refused.value.ok_to_retry
        admin.delete(service, quotas, "reset")
    admin.send("PUT", "network", f"/quotas/{token.project_id}", {"quota": {"port": 1}}, "set")
    with pytest.raises(VmCreationFailed, match="quota"):
        vm(cpi, "q", manual(cloud, 82))
    admin.delete("network", f"/quotas/{token.project_id}", "reset")


def test_what_cannot_be(cloud, vm):
    cpi = cpi_of(cloud)
    for wrong, text in (
        ({"instance_type": "m1.tiney"}, "no flavor 'm1.tiney'"),
        ({"instance_typ": "m1.tiny"}, "unknown property 'instance_typ'"),
        ({"availability_zone": "mars"}, "zone is not available"),
        ({"security_groups": ["nobody"]}, "no security groups"),
        ({"key_name": "nobody"}, "key_name"),
        ({"loadbalancer_pools": [{"name": "p", "port": 80}]}, "load-balancer"),
    ):
        with pytest.raises(CloudError, match=text):
            vm(cpi, "wrong", manual(cloud, 83), wrong)
    outside = {"default": {**manual(cloud, 83)["default"], "ip": "192.0.2.1"}}
    with pytest.raises(VmCreationFailed, match=r"192\.0\.2\.1|subnet"):
        vm(cpi, "wrong", outside)
    disk = cpi.create_disk(2048, {}, None)
    with pytest.raises(CloudError, match="no volume type 'no-such-type'"):
        cpi.update_disk(disk, 2048, {"type": "no-such-type"})
    with pytest.raises(NotSupportedByCpi, match="cannot shrink"):
        cpi.resize_disk(disk, 1024)
    cpi.delete_disk(disk)


def test_tokens(cloud):
    """One token for all threads; one that is refused is replaced; applications have their own."""
    cpi = cpi_of(cloud)
    with ThreadPoolExecutor(8) as threads:
        assert not any(threads.map(lambda n: cpi.has_vm(VmCid(f"none-{n}")), range(16)))
    assert cloud.front.counted()["POST /identity/v3/auth/tokens"] == 1
    cloud.front.faults.append(Fault(calls="GET /compute", kind=401, times=1))
    assert not cpi.has_vm(VmCid("none"))
    assert cloud.front.counted()["POST /identity/v3/auth/tokens"] == 2
    cloud.front.faults.append(Fault(calls="GET /compute", kind=401, times=2))
    with pytest.raises(CloudError, match="token"):
        cpi.has_vm(VmCid("none"))

    wrong = OpenStackCpi({**project.properties(cloud.layout), "api_key": "wrong"})
    with pytest.raises(CloudError, match="refuses our credentials") as caught:
        wrong.has_vm(VmCid("none"))
    assert SECRET not in str(caught.value)


def test_an_application_credential(cloud):
    from clouds.openstack.layout import HOST

    cpi = cpi_of(cloud)
    cpi.has_vm(VmCid("none"))
    import httpx

    base = f"http://{HOST}:{cloud.front.port}/identity/v3"
    token = {"X-Auth-Token": cpi._cloud.session.token().value}
    who = httpx.get(
        f"{base}/auth/tokens", headers={**token, "X-Subject-Token": token["X-Auth-Token"]}
    )
    user = who.json()["token"]["user"]["id"]
    path = f"{base}/users/{user}/application_credentials"
    body = {"application_credential": {"name": f"cpi-{time.time()}"}}
    made = httpx.post(path, headers=token, json=body).json()["application_credential"]
    other = OpenStackCpi(
        {
            "auth_url": f"{base}",
            "application_credential_id": made["id"],
            "application_credential_secret": made["secret"],
            "region": "RegionOne",
        }
    )
    assert not other.has_vm(VmCid("none"))
    httpx.delete(f"{path}/{made['id']}", headers=token)


def test_groups_spread_and_go(cloud, vm):
    """A group's VMs land on different hosts; its server group is made once and goes with them."""
    cpi, own = cpi_of(cloud), project.api(cloud.layout)
    admin = project.api(cloud.layout, "admin")
    # One after the other: Nova's scheduler cannot spread what it places at the same moment.
    vms = [vm(cpi, f"spread-{n}", manual(cloud, 90 + n), group="spread")[0] for n in range(2)]
    (group,) = own.get("compute", "/os-server-groups", "list")["server_groups"]
    assert set(group["members"]) == set(vms)
    hosts = {
        admin.get("compute", f"/servers/{cid}", "look")["server"]["OS-EXT-SRV-ATTR:host"]
        for cid in vms
    }
    assert len(hosts) == 2
    for cid in vms:
        cpi.delete_vm(cid)


def test_lists_go_beyond_a_page(cloud, monkeypatch):
    """Pages are followed to their end; a page of two stands for Nova's of a thousand."""
    import cpis.openstack.api as module

    monkeypatch.setattr(module, "_PAGE", 2)
    own = project.api(cloud.layout)
    names = {row["name"] for row in own.pages("compute", "/flavors/detail", "flavors", "list")}
    assert names == {"m1.tiny", "m1.small", "m1.medium", "m1.large", "v1.small"}
    disks = [cpi_of(cloud).create_disk(1024, {}, None) for _ in range(5)]
    there = own.pages("volume", "/volumes", "volumes", "list")
    assert {row["id"] for row in there} == set(disks)
    for disk in disks:
        cpi_of(cloud).delete_disk(disk)


def test_calls_for_one_instance(cloud, vm):
    """What one instance with a disk costs once flavors are known; see benchmarks/README.md."""
    cpi = cpi_of(cloud)
    cpi.calculate_vm_cloud_properties({"cpu": 1, "ram": 256, "ephemeral_disk_size": 0})
    cloud.front.reset()
    cid, _ = vm(cpi, "counted", manual(cloud, 95))
    made = cloud.front.counted()
    polls = made.pop("GET /compute/v2.1/servers/ID")
    assert made == {
        "GET /compute/v2.1/servers/detail": 1,
        "POST /network/v2.0/ports": 1,
        "POST /compute/v2.1/servers": 1,
    }
    assert 1 <= polls < 10
    cpi.delete_vm(cid)

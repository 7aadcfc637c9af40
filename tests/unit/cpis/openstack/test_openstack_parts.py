"""The parts of the OpenStack CPI that need no cloud."""

from __future__ import annotations

import io
import tarfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls, Patience
from cpis.openstack import flavors, groups, images, pools, ports, servers, volumes
from cpis.openstack.api import Api, Cloud, Remembered, Turns, at
from cpis.openstack.judge import ApiError, Refused, Unsent, judge
from cpis.openstack.properties import read_settings
from cpis.openstack.session import Session, Token, identity_request, read_token
from director.model.ids import AgentId, DiskCid, StemcellCid

PROPERTIES = {
    "auth_url": "http://k/v3",
    "username": "u",
    "api_key": "secret",
    "project": "p",
    "state_timeout": 5,
}
FOREVER = 4_000_000_000.0


def token(value: str = "t", expires_at: float = FOREVER) -> Token:
    return Token(value=value, expires_at=expires_at, project_id="p", endpoints={})


class Script:
    """A driver that answers as it is told, in order, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str, Any, Any]] = []

    def send(self, service, method, path, *, params=None, body=None, headers=None):
        self.asked.append((service, method, path, dict(params or {}), body))
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def cloud_of(driver: Any, **properties: Any) -> Cloud:
    patience = Patience(tries=3, first_s=0.001, longest_s=0.002)
    calls: Calls[Any] = Calls(lambda: driver, judge, patience=patience, sleep=lambda _: None)
    return Cloud(
        api=Api(calls, grace_s=0.0),
        settings=read_settings({**PROPERTIES, **properties}),
        session=Session(token, lambda: 0.0),
        new_id=lambda: "new",
        flavors=Remembered(lambda: 0.0),
        ids=Remembered(lambda: 0.0),
    )


# -- the session -----------------------------------------------------------------------------------


def test_one_thread_renews_while_others_go_on():
    now, asked, go = [0.0], [], threading.Event()

    def authenticate() -> Token:
        asked.append(1)
        if len(asked) > 1:
            assert go.wait(5)
        return token(f"t{len(asked)}", now[0] + 1000)

    session = Session(authenticate, lambda: now[0])
    assert session.token().value == "t1"
    now[0] = 800.0
    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(session.token)
        while len(asked) < 2:
            pass
        assert session.token().value == "t1"
        go.set()
        assert renewing.result().value == "t2"
    assert session.token().value == "t2"


def test_many_threads_ask_once_and_a_refused_token_is_dropped_once():
    asked: list[int] = []

    def authenticate() -> Token:
        asked.append(1)
        return token(f"t{len(asked)}")

    session = Session(authenticate, lambda: 0.0)
    with ThreadPoolExecutor(8) as threads:
        assert {one.value for one in threads.map(lambda _: session.token(), range(30))} == {"t1"}
    session.forget("t1")
    assert session.token().value == "t2"
    session.forget("t1")
    assert session.token().value == "t2"


def test_a_busy_keystone_means_that_nothing_was_sent():
    def authenticate() -> Token:
        raise Refused(503, "", {})

    with pytest.raises(Unsent):
        Session(authenticate, lambda: 0.0).token()


def catalog(*rows: tuple[str, str, str]) -> dict[str, Any]:
    entries = [
        {"type": kind, "endpoints": [{"interface": face, "region_id": region, "url": f"{kind}!"}]}
        for kind, face, region in rows
    ]
    return {
        "token": {
            "expires_at": "2100-01-01T00:00:00.000000Z",
            "project": {"id": "p"},
            "catalog": entries,
        }
    }


def test_the_catalog_is_read_by_region_and_interface():
    body = catalog(
        ("compute", "public", "A"), ("volumev3", "public", "A"), ("image", "internal", "A")
    )
    found = read_token("v", body, region=None, interface="public")
    assert found.endpoint("compute") == "compute!"
    assert found.endpoint("volume") == "volumev3!"
    with pytest.raises(CloudError, match="no endpoint for the service 'image'"):
        found.endpoint("image")
    two = catalog(("compute", "public", "A"), ("compute", "public", "B"))
    with pytest.raises(CloudError, match="several regions: A, B"):
        read_token("v", two, region=None, interface="public")
    assert read_token("v", two, region="B", interface="public").endpoints


@pytest.mark.parametrize("body", [None, [], {}, {"token": None}, {"token": {"expires_at": 3}}])
def test_an_answer_that_is_not_keystones(body):
    with pytest.raises(CloudError):
        read_token("v", body, region=None, interface="public")


def test_what_keystone_is_asked():
    who = read_settings({**PROPERTIES, "user_domain_name": "a", "project_domain_name": "b"})
    auth = identity_request(who.credentials)["auth"]
    assert auth["identity"]["password"]["user"]["domain"] == {"name": "a"}
    assert auth["scope"] == {"project": {"name": "p", "domain": {"name": "b"}}}
    given = {"application_credential_id": "i", "application_credential_secret": "s"}
    who = read_settings({"auth_url": "http://k/v3", **given})
    assert "scope" not in identity_request(who.credentials)["auth"]


# -- asking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", ["", ".", "..", "..."])
def test_what_is_no_id_is_not_found(hostile):
    with pytest.raises(ApiError) as caught:
        at("/servers/{}", hostile)
    assert caught.value.http_status == 404


def test_ids_are_quoted():
    assert at("/servers/{}/x", "../a?b=c#d") == "/servers/..%2Fa%3Fb%3Dc%23d/x"


def test_pages_are_followed_however_they_are_announced():
    more = [{"rel": "next", "href": "http://elsewhere/?marker=b"}]
    driver = Script(
        {"things": [{"id": "a"}, {"id": "b"}], "things_links": more},
        {"things": [{"id": "c"}], "next": "/v2/things?marker=c"},
        {"things": [{"id": "d"}], "things_links": [{"rel": "previous"}]},
    )
    found = cloud_of(driver).api.pages("s", "/things", "things", "list", name="x")
    assert [row["id"] for row in found] == ["a", "b", "c", "d"]
    assert [asked[3].get("marker") for asked in driver.asked] == [None, "b", "c"]
    assert all(asked[3]["name"] == "x" for asked in driver.asked)


def test_what_was_made_without_an_answer_is_found():
    cloud = cloud_of(Script(Refused(504, "", {}), Refused(504, "", {})))

    def make() -> Any:
        return cloud.api.send("POST", "s", "/things", {}, "make it", repeatable=False)

    assert cloud.api.make(make, lambda: "found") == "found"
    with pytest.raises(ApiError) as caught:
        cloud.api.make(make, lambda: None)
    assert caught.value.ok_to_retry


def test_turns_are_taken_by_key():
    turns, inside = Turns(), []

    def work(n: int) -> None:
        with turns.of("same"):
            inside.append(n)
            assert len(inside) == 1
            inside.remove(n)

    with turns.of("other"), ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(50)))
    assert turns._held == {}


# -- stemcells -------------------------------------------------------------------------------------


def packed(tmp_path, name: str, content: bytes):
    path = tmp_path / "image"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in (("first", b"x" * 10), (name, content)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_an_image_is_read_from_its_archive(tmp_path):
    content = bytes(range(256)) * 9000
    with images.opened(packed(tmp_path, "./root.img", content)) as (source, size):
        body = images.Sized(source, size)
        assert len(body) == len(content)
        assert b"".join(body) == content


def test_a_plain_image_is_taken_as_it_is(tmp_path):
    (tmp_path / "raw").write_bytes(b"disk")
    with images.opened(tmp_path / "raw") as (source, size):
        assert (source.read(), size) == (b"disk", 4)


def test_archives_that_are_no_stemcell(tmp_path):
    with (
        pytest.raises(CloudError, match="holds no"),
        images.opened(packed(tmp_path, "x", b"")),
    ):
        pass
    whole = packed(tmp_path, "root.img", bytes(range(256)) * 5000).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(CloudError),
        images.opened(tmp_path / "half") as (source, size),
    ):
        b"".join(images.Sized(source, size))
    link = tmp_path / "link"
    with tarfile.open(link, "w:gz") as archive:
        info = tarfile.TarInfo("root.img")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(info)
    with pytest.raises(CloudError, match="holds no"), images.opened(link):
        pass


def test_properties_of_an_image_are_those_glance_knows():
    given = {
        "hypervisor": "kvm",
        "os_type": "linux",
        "hw_disk_bus": "scsi",
        "auto_disk_config": True,
        "disk": 3072,
        "infrastructure": "openstack",
    }
    assert images._image_properties(given) == {
        "hypervisor_type": "kvm",
        "os_type": "linux",
        "hw_disk_bus": "scsi",
        "auto_disk_config": "true",
    }


def test_a_name_of_two_images_is_no_stemcell():
    rows = [{"id": "a", "status": "active"}, {"id": "b", "status": "active"}]
    with pytest.raises(CloudError, match="2 images have the name 'n'") as caught:
        images.create(cloud_of(Script({"images": rows})), "", {"image_name": "n"})
    assert "'a', 'b'" in str(caught.value)


# -- flavors ---------------------------------------------------------------------------------------


def flavor(name: str, vcpus: int, ram: int, disk: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "id": name, "vcpus": vcpus, "ram": ram, "disk": disk, **more}


FLAVORS = (
    flavor("tiny", 1, 512, 3),
    flavor("small", 1, 2048, 20),
    flavor("diskless", 1, 1024, 0),
    flavor("roomy", 2, 4096, 10, **{"OS-FLV-EXT-DATA:ephemeral": 50}),
    flavor("off", 1, 700, 100, **{"OS-FLV-DISABLED:disabled": True}),
)


@pytest.mark.parametrize(
    ("cpu", "ram", "ephemeral", "found"),
    [
        (1, 256, 1024, {"instance_type": "diskless", "boot_from_volume": True, "size": 6}),
        (1, 2048, 1024, {"instance_type": "small"}),
        (2, 1, 51200, {"instance_type": "roomy"}),
        (1, 1, 1025, {"instance_type": "diskless", "boot_from_volume": True, "size": 7}),
    ],
)
def test_the_smallest_flavor(cpu, ram, ephemeral, found):
    size = found.pop("size", None)
    wanted = {**found, "root_disk": {"size": size}} if size else found
    assert flavors.smallest(FLAVORS, cpu=cpu, ram_mb=ram, ephemeral_mb=ephemeral) == wanted


def test_no_flavor_fits():
    with pytest.raises(CloudError, match="no flavor has 64 CPUs"):
        flavors.smallest(FLAVORS, cpu=64, ram_mb=1, ephemeral_mb=0)


# -- VMs at once ----------------------------------------------------------------------------------


class Nova:
    """Just enough of an OpenStack to build servers: the answers, and a gate that all must reach."""

    def __init__(self, gate: threading.Barrier) -> None:
        self.gate = gate
        self.calls: list[str] = []

    def send(self, service, method, path, *, params=None, body=None, headers=None):
        self.calls.append(f"{method} {path.partition('/s-')[0]}")
        if method == "POST" and path == "/servers":
            # Nobody passes before fifty requests are under way at the same time.
            self.gate.wait(10)
            return {"server": {"id": f"s-{body['server']['name']}"}}
        if method == "POST":
            return {"port": {**held(), **body["port"], "id": body["port"]["name"]}}
        if path == "/servers/detail":
            return {"servers": []}
        if path == "/flavors/detail":
            return {"flavors": [flavor("tiny", 1, 512, 3)]}
        return {"server": {"id": "s", "status": "ACTIVE"}}


def test_fifty_vms_are_made_at_once_without_waiting_for_each_other():
    nova = Nova(threading.Barrier(50))
    cloud = cloud_of(nova)
    keys = {
        "private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n",
        "public_key": "ssh-ed25519 A",
    }
    env = {"bosh": {"ssh_host_key": keys, "authorized_keys": ["ssh-ed25519 A"]}}

    def make(n: int) -> str:
        networks = {"default": {**NET, "ip": f"10.0.0.{n}"}}
        cid, _ = servers.create(
            cloud, AgentId(f"a{n}"), StemcellCid("i"), {"instance_type": "tiny"}, networks, env
        )
        return cid

    with ThreadPoolExecutor(50) as threads:
        assert len(set(threads.map(make, range(50)))) == 50
    made = Counter(nova.calls)
    assert made.pop("GET /flavors/detail") <= 50
    assert made == {
        "GET /servers/detail": 50,
        "POST /ports": 50,
        "POST /servers": 50,
        "GET /servers": 50,
    }


# -- servers, ports, groups, pools, disks ----------------------------------------------------------


def test_marks_are_tags_that_nova_takes():
    assert servers.mark(AgentId("0e2c5cb4-0000-4000-8000-000000000000")).startswith("vm-0e2c")
    odd = [servers.mark(AgentId(text)) for text in ("a/b", "a,b", "x" * 200, "")]
    assert len(set(odd)) == 4
    assert all(len(mark) <= 60 and "/" not in mark and "," not in mark for mark in odd)


def test_user_data_that_is_too_long_is_refused_before_anything_is_made():
    assert servers._encoded("x" * 49149)
    with pytest.raises(CloudError, match="user data has"):
        servers._encoded("x" * 49150)


def test_a_full_quota_of_groups_does_not_stop_a_vm(caplog):
    full = Refused(403, '{"forbidden": {"message": "Quota exceeded, too many server groups."}}', {})
    driver = Script({"server_groups": []}, full)
    assert groups.id_of(cloud_of(driver), "web") is None
    assert "not spread" in caplog.text


def test_a_server_group_is_made_once_by_many_threads():
    made: list[str] = []

    class Nova(Script):
        def send(self, service, method, path, *, params=None, body=None, headers=None):
            if method == "POST":
                made.append(body["server_group"]["name"])
                return {"server_group": {"id": f"g{len(made)}"}}
            return {"server_groups": []}

    cloud = cloud_of(Nova())
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(lambda _: groups.id_of(cloud, "d-web"), range(50)))
    assert (found, made) == ({"g1"}, ["spread-d-web"])


def test_groups_are_looked_for_beyond_a_page():
    page = [{"id": str(n), "name": f"x{n}", "policy": "affinity"} for n in range(1000)]
    mine = {"id": "m", "name": "spread-web", "policy": "soft-anti-affinity"}
    driver = Script({"server_groups": page}, {"server_groups": [mine]})
    assert groups.id_of(cloud_of(driver), "web") == "m"
    assert [asked[3]["offset"] for asked in driver.asked] == [0, 1000]


NET = {"type": "manual", "ip": "10.0.0.5", "cloud_properties": {"net_id": "n"}}


def conflict() -> Refused:
    return Refused(
        409, '{"NeutronError": {"type": "IpAddressAlreadyAllocated", "message": ""}}', {}
    )


def held(**more: Any) -> dict[str, Any]:
    fixed = [{"ip_address": "10.0.0.5", "subnet_id": "s"}]
    return {
        "id": "p",
        "name": "vm-x",
        "description": "default",
        "network_id": "n",
        "fixed_ips": fixed,
        "device_id": "",
        "device_owner": "",
        **more,
    }


def test_an_address_that_is_taken_names_its_holder():
    holder = held(name="other", device_id="db-server", device_owner="compute:nova")
    cloud = cloud_of(Script(conflict(), {"ports": [holder]}))
    with pytest.raises(CloudError, match="taken by the port 'p' of 'db-server'"):
        ports.create(cloud, "vm-a", {"default": NET}, {})


def test_our_own_port_of_an_interrupted_call_is_used():
    cloud = cloud_of(Script(conflict(), {"ports": [held(name="vm-a")]}))
    assert ports.create(cloud, "vm-a", {"default": NET}, {})[0]["id"] == "p"


def test_a_port_whose_vm_was_never_made_gives_way():
    new = held(id="q", name="vm-a")
    driver = Script(conflict(), {"ports": [held()]}, {"servers": []}, None, {"port": new})
    assert ports.create(cloud_of(driver), "vm-a", {"default": NET}, {}) == [new]
    assert driver.asked[3][1:3] == ("DELETE", "/ports/p")


def test_a_port_whose_vm_is_being_made_does_not():
    driver = Script(conflict(), {"ports": [held()]}, {"servers": [{"id": "s"}]})
    with pytest.raises(CloudError, match="is taken"):
        ports.create(cloud_of(driver), "vm-a", {"default": NET}, {})


def test_security_groups_of_the_vm_are_stronger_than_the_networks():
    net = {**NET, "cloud_properties": {"net_id": "n", "security_groups": ["net"]}}
    for properties, expected in (({"security_groups": ["own"]}, "own"), ({}, "net")):
        driver = Script({"security_groups": [{"id": f"id-{expected}"}]}, {"port": held()})
        cloud = cloud_of(driver, default_security_groups=["default"])
        cloud.session.token()
        ports.create(cloud, "vm-a", {"default": net}, properties)
        assert driver.asked[0][3]["name"] == expected
        assert driver.asked[1][4]["port"]["security_groups"] == [f"id-{expected}"]


@pytest.mark.parametrize(
    ("networks", "text"),
    [
        ({"a": {"type": "vip", "ip": "1.2.3.4"}}, "on no network"),
        ({"a": {"type": "manual", "cloud_properties": {"net_id": "n"}}}, "no address"),
        ({"a": {"type": "dynamic", "cloud_properties": {}}}, "lacks the property 'net_id'"),
        ({"a": {**NET, "cloud_properties": {"net_idd": "n"}}}, "did you mean 'net_id'"),
        ({"a": {**NET, "type": "magic"}}, "unknown type"),
    ],
)
def test_networks_that_cannot_be(networks, text):
    with pytest.raises(CloudError) as caught:
        ports.check(networks)
    assert text in str(caught.value)


def test_load_balancer_pools_are_joined_and_left():
    """Octavia refuses a second change while the first is under way: that is waited for."""
    immutable = Refused(409, '{"faultstring": "Load Balancer x is immutable"}', {})
    driver = Script(
        {"pools": [{"id": "pool"}]},
        immutable,
        {"members": []},
        {"member": {"id": "m"}},
        {"members": [{"id": "m", "protocol_port": 80}]},
        immutable,
        None,
    )
    cloud, wanted = cloud_of(driver), [{"name": "web", "port": 80}]
    ids = pools.ids_of(cloud, wanted)
    pools.join(cloud, "vm-a", held(), wanted, ids)
    assert driver.asked[3][4]["member"]["address"] == "10.0.0.5"
    pools.leave(cloud, "vm-a", ids)
    assert driver.asked[-1][1:3] == ("DELETE", "/lbaas/pools/pool/members/m")
    assert driver.answers == []


@pytest.mark.parametrize(("size_mb", "size"), [(1, 1), (1024, 1), (1025, 2), (10240, 10)])
def test_sizes_are_rounded_up(size_mb, size):
    assert volumes.gib(size_mb) == size


def test_where_a_disk_is_inside_a_vm():
    hint = volumes.hint(DiskCid("1f2a3b4c-5d6e-7f80-9a0b-1c2d3e4f5061"))
    virtio, scsi = hint.split()
    assert virtio == "/dev/disk/by-id/virtio-1f2a3b4c-5d6e-7f80-9"
    assert scsi == "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_1f2a3b4c-5d6e-7f80-9*"


def volume(status: str, *servers_with_it: str) -> Callable[[], dict[str, Any]]:
    attachments = [{"server_id": one} for one in servers_with_it]
    return lambda: {"volume": {"id": "v", "status": status, "attachments": attachments}}


def test_deleting_waits_for_a_busy_volume_and_tells_who_has_it():
    refused = Refused(400, '{"badRequest": {"message": "Invalid volume"}}', {})
    busy = Script(
        refused, volume("detaching", "s"), volume("detaching", "s"), volume("available"), None,
        Refused(404, "", {}),
    )  # fmt: skip
    volumes.delete(cloud_of(busy), DiskCid("v"))
    assert busy.answers == []
    used = Script(refused, volume("in-use", "s"), volume("in-use", "s"))
    with pytest.raises(CloudError, match="attached to the VM 's'"):
        volumes.delete(cloud_of(used), DiskCid("v"))
    lost = Script(Refused(504, "", {}), refused, volume("deleting"), Refused(404, "", {}))
    volumes.delete(cloud_of(lost), DiskCid("v"))
    assert lost.answers == []

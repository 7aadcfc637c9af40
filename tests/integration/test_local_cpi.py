"""Local machines on this host: crashes, leftovers, neighbours and hostile machines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_machines import (
    Keys,
    local_cpi,
    local_properties,
    manual_network,
    remove_stale,
    stemcell_image,
    wait_for_sshd,
)

from cpis.contract import CloudError, VmCreationFailed
from cpis.local import LocalCpi
from cpis.local.bridges import owned_links
from cpis.local.disks import loop_devices_below
from cpis.local.packets import table_name

pytestmark = pytest.mark.machines

PREFIX = "10.232.1"
CHILD = """
import json, os, sys
from cpis.local import LocalCpi
given = json.load(sys.stdin)
cpi = LocalCpi(given["properties"])
stemcell = given["stemcell"] or cpi.create_stemcell(given["image"], {})
print("ready", flush=True)
cid, _ = cpi.create_vm(given["agent"], stemcell, {}, given["networks"], [], given["env"])
disk = cpi.create_disk(16, {}, cid)
cpi.attach_disk(cid, disk)
print(cid, flush=True)
sys.stdin = open("/dev/null")
import time; time.sleep(60)
"""


def network(n: int, prefix: str = PREFIX) -> dict:
    return {"default": manual_network(f"{prefix}.{10 + n}", gateway=f"{prefix}.1")}


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalCpi]:
    with local_cpi("integration") as made:
        yield made


@pytest.fixture
def cpi(shared: LocalCpi) -> Iterator[LocalCpi]:
    yield shared
    for path in Path(shared.properties["root"], "vms").iterdir():
        shared.delete_vm(path.name)


@pytest.fixture(scope="module")
def stemcell(shared: LocalCpi) -> str:
    return shared.create_stemcell(str(stemcell_image()), {})


def in_child(properties: dict, agent: str, n: int, keys: Keys, stemcell: str | None):
    """Start another process that makes a VM and then waits; returns it once it begins."""
    given = {
        "properties": properties,
        "agent": agent,
        "networks": network(n),
        "env": keys.env,
        "stemcell": stemcell,
        "image": str(stemcell_image()),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    child.stdin.write(json.dumps(given))
    child.stdin.close()
    assert child.stdout.readline() == "ready\n"
    return child


def end(child: subprocess.Popen, number: signal.Signals) -> None:
    os.killpg(child.pid, number)
    child.wait(10)
    child.stdout.close()


def running_machines(cpi: LocalCpi) -> int:
    root = cpi.properties["root"]
    found = subprocess.run(["lxc-ls", "-P", f"{root}/vms", "--running"], capture_output=True)
    return len(found.stdout.split())


@pytest.mark.parametrize("after_ms", [0, 3, 6, 10, 15, 25, 40])
def test_a_creation_that_was_killed_is_completed_by_the_next_call(
    cpi: LocalCpi, stemcell: str, keys: Keys, after_ms: int
) -> None:
    agent = f"crash-{after_ms}"
    child = in_child(cpi.properties, agent, 0, keys, stemcell)
    time.sleep(after_ms / 1000)
    end(child, signal.SIGKILL)
    cid, networks = cpi.create_vm(agent, stemcell, {}, network(0), [], keys.env)
    assert running_machines(cpi) == 1
    assert keys.run(networks["default"]["ip"], "root", "echo up") == "up\n"
    for disk in cpi.get_disks(cid):
        cpi.detach_disk(cid, disk)
        cpi.delete_disk(disk)
    cpi.delete_vm(cid)
    assert owned_links(cpi.properties["director_id"]) == []
    assert loop_devices_below(Path(cpi.properties["root"])) == []


def test_find_vm_removes_what_a_crash_left_half_made(
    cpi: LocalCpi, stemcell: str, keys: Keys
) -> None:
    cid, _ = cpi.create_vm("half", stemcell, {}, network(0), [], keys.env)
    record = Path(cpi.properties["root"], "vms", cid, "vm.json")
    record.write_text(record.read_text().replace('"created"', '"creating"'))
    assert cpi.find_vm("half") is None
    assert not record.parent.exists()
    assert running_machines(cpi) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_machines_outlive_the_process_that_made_them(
    cpi: LocalCpi, stemcell: str, keys: Keys, number: signal.Signals
) -> None:
    child = in_child(cpi.properties, "outlives", 0, keys, stemcell)
    cid = child.stdout.readline().strip()
    end(child, number)
    assert keys.run(f"{PREFIX}.10", "root", "ls /dev/director").startswith("disk-")
    cpi.delete_vm(cid)


def test_what_a_killed_test_run_left_is_removed_by_the_next(keys: Keys, tmp_path: Path) -> None:
    # The child has an id of its own: to anybody else it is a test run like this one.
    program = "from local_machines import local_properties; import json, sys\n"
    program += f"given = local_properties({str(tmp_path / 'state')!r}, 'killed')\n"
    program += "print(json.dumps(given), flush=True)\n"
    program += CHILD.replace('given["properties"]', "properties").replace(
        "given = json.load(sys.stdin)", "properties, given = given, json.load(sys.stdin)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    given = {"agent": "a", "networks": network(0, "10.232.2"), "env": keys.env, "stemcell": None}
    child.stdin.write(json.dumps({**given, "image": str(stemcell_image())}))
    child.stdin.close()
    properties = json.loads(child.stdout.readline())
    assert child.stdout.readline() == "ready\n"
    assert child.stdout.readline().startswith("vm-")
    end(child, signal.SIGKILL)
    assert owned_links(properties["director_id"]) != []
    remove_stale()
    assert owned_links(properties["director_id"]) == []
    assert loop_devices_below(tmp_path) == []
    assert not (tmp_path / "state").exists()


def test_another_directors_range_is_refused_by_name(
    cpi: LocalCpi, stemcell: str, keys: Keys, tmp_path: Path
) -> None:
    cid, _ = cpi.create_vm("first", stemcell, {}, network(0), [], keys.env)
    with local_cpi("neighbour") as other:
        image = Path(cpi.properties["root"], "stemcells", stemcell)
        shutil.copytree(
            image, Path(other.properties["root"], "stemcells", stemcell), copy_function=os.link
        )
        with pytest.raises(VmCreationFailed) as caught:
            other.create_vm("second", stemcell, {}, network(7), [], keys.env)
        assert f"director {cpi.properties['director_id']}" in str(caught.value)
        assert other.find_vm("second") is None
        assert owned_links(other.properties["director_id"]) == []
    assert keys.run(f"{PREFIX}.10", "root", "echo up") == "up\n"
    cpi.delete_vm(cid)


def test_several_networks_and_one_default_route(cpi: LocalCpi, stemcell: str, keys: Keys) -> None:
    inner = {"ip": "10.232.4.9", "netmask": "255.255.255.128", "type": "manual"}
    networks = {"inner": inner, **network(0)}
    cid, _ = cpi.create_vm("two-networks", stemcell, {}, networks, [], keys.env)
    said = keys.run(f"{PREFIX}.10", "root", "ip -4 -br address; ip route")
    assert "10.232.4.9/25" in said
    assert f"default via {PREFIX}.1 dev eth1" in said
    assert len(owned_links(cpi.properties["director_id"])) == 2
    cpi.delete_vm(cid)
    assert owned_links(cpi.properties["director_id"]) == []


def test_limits_hold_and_devices_are_closed(cpi: LocalCpi, stemcell: str, keys: Keys) -> None:
    properties = {"memory": 64, "cpu": 0.5}
    cid, _ = cpi.create_vm("limited", stemcell, properties, network(0), [], keys.env)
    script = """
    mknod /tmp/host b $(cat /sys/block/loop0/dev | tr : ' ') 2>&1; head -c 1 /tmp/host 2>&1
    cat /dev/zero | head -c 200m | tail -c 100m > /dev/null; echo "exit $?"
    """
    said = keys.run(f"{PREFIX}.10", "root", script)
    assert "not permitted" in said
    assert "exit 0" not in said, "a process of 100 MiB does not fit into 64"
    cpi.delete_vm(cid)


def test_a_machine_cannot_lead_the_host_out_of_its_dev(
    cpi: LocalCpi, stemcell: str, keys: Keys, tmp_path: Path
) -> None:
    cid, _ = cpi.create_vm("hostile", stemcell, {}, network(0), [], keys.env)
    disk = cpi.create_disk(16, {}, cid)
    keys.run(f"{PREFIX}.10", "root", f"rm -rf /dev/director; ln -s {tmp_path} /dev/director")
    with pytest.raises(CloudError, match="/dev/director"):
        cpi.attach_disk(cid, disk)
    assert list(tmp_path.iterdir()) == []
    cpi.delete_vm(cid)
    cpi.delete_disk(disk)


def test_a_dead_machine_is_started_by_the_same_call_and_tells_of_its_end(
    cpi: LocalCpi, stemcell: str, keys: Keys
) -> None:
    cid, _ = cpi.create_vm("dies", stemcell, {}, network(0), [], keys.env)
    keys.run(f"{PREFIX}.10", "root", "kill -TERM 1; sleep 5")
    deadline = time.monotonic() + 10
    while running_machines(cpi) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running_machines(cpi) == 0
    assert "stopping" in cpi.console_output(cid)
    assert cpi.has_vm(cid)
    assert cpi.create_vm("dies", stemcell, {}, network(0), [], keys.env)[0] == cid
    wait_for_sshd(f"{PREFIX}.10").close()
    cpi.delete_vm(cid)


def test_an_image_without_sshd_is_refused(cpi: LocalCpi, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").touch()
    subprocess.run(["tar", "-cf", tmp_path / "image.tar", "-C", tmp_path, "bin"], check=True)
    before = list(Path(cpi.properties["root"], "stemcells").iterdir())
    with pytest.raises(CloudError, match="holds no sshd"):
        cpi.create_stemcell(str(tmp_path / "image.tar"), {})
    (tmp_path / "image.tar").write_text("no tar")
    with pytest.raises(CloudError):
        cpi.create_stemcell(str(tmp_path / "image.tar"), {})
    assert list(Path(cpi.properties["root"], "stemcells").iterdir()) == before


def test_packet_filters_that_drop_get_rules_and_lose_them_again() -> None:
    # In a network namespace of its own: the host's filter is not for tests.
    program = """
import subprocess
from cpis.local.packets import apply_rules
def show(): print(subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout)
drop = "table inet f { chain forward { type filter hook forward priority 0; policy drop; }; }"
subprocess.run(["nft", "-f", "-"], input=drop, text=True, check=True)
for _ in range(2):
    apply_rules("d", (("dir1", "10.1.0.0/24"), ("dir2", "10.2.0.0/24")))
show()
apply_rules("d", ())
print("=====")
show()
"""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    before, _, after = done.stdout.partition("=====")
    assert before.count('iifname "dir1" accept') == 1
    assert before.count('oifname "dir2" accept') == 1
    assert "10.1.0.0/24, 10.2.0.0/24" in before
    assert "masquerade" in before
    assert "accept comment" not in after
    assert table_name("d") not in after


def test_destroy_all_leaves_nothing(keys: Keys, tmp_path: Path) -> None:
    properties = local_properties(tmp_path / "state", "destroyed")
    cpi = LocalCpi(properties)
    stemcell = cpi.create_stemcell(str(stemcell_image()), {})
    cid, _ = cpi.create_vm("a", stemcell, {}, network(0, "10.232.3"), [], keys.env)
    cpi.create_vm("b", stemcell, {}, network(1, "10.232.3"), [], keys.env)
    disk = cpi.create_disk(16, {}, cid)
    cpi.attach_disk(cid, disk)
    cpi.snapshot_disk(disk, {})
    cpi.destroy_all()
    assert list((tmp_path / "state").iterdir()) == []
    assert owned_links(properties["director_id"]) == []
    assert loop_devices_below(tmp_path) == []
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    assert table_name(properties["director_id"]) not in tables
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    cpi.destroy_all()

"""One deployment on two clouds: two local CPIs, each with the machines of an AZ of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from real_director import Director, remove_home
from samples import greeter, write

pytestmark = pytest.mark.machines

CLOUD = """\
azs: [{name: z1, cpi: left}, {name: z2, cpi: right}]
vm_types: [{name: small, cloud_properties: {cpu: 1, memory: 256}}]
networks:
- name: default
  subnets:
  - {az: z1, range: 10.238.1.0/24, gateway: 10.238.1.1}
  - {az: z2, range: 10.238.2.0/24, gateway: 10.238.2.1}
compilation:
  {workers: 1, reuse_compilation_vms: true, az: z2, vm_type: small, network: default}
"""
CPIS = "cpis: [{name: left, type: local}, {name: right, type: ((kind))}]\n"


@pytest.fixture
def two(homes: Path, tmp_path: Path) -> Iterator[Director]:
    home = homes / "two"
    made = Director(home=home, subnet="10.238.1")
    (tmp_path / "cpis.yml").write_text(CPIS)
    (tmp_path / "cloud.yml").write_text(CLOUD)
    yield made
    remove_home(home)


def machines(director: Director) -> dict[str, list[str]]:
    """Return which machines there are on each cloud, from what the clouds keep on this host."""
    places = sorted((director.home / "cpis").iterdir())
    return {place.name: sorted(vm.name for vm in (place / "vms").iterdir()) for place in places}


def links() -> list[str]:
    shown = subprocess.run(
        ["ip", "-j", "address", "show", "type", "bridge"], capture_output=True, check=True
    )
    found = [link for link in json.loads(shown.stdout) if link]
    addresses = [a["local"] for link in found for a in link.get("addr_info", ())]
    return sorted(address for address in addresses if address.startswith("10.238."))


def test_a_deployment_on_two_clouds(two: Director, stemcell_tarball: Path, tmp_path: Path) -> None:
    two.run("update-cpi-config", tmp_path / "cpis.yml", "-v", "kind=local")
    assert yaml.safe_load(two.run("cpi-config").stdout)["cpis"][1]["type"] == "local"
    two.run("update-cloud-config", tmp_path / "cloud.yml")
    two.run("upload-stemcell", stemcell_tarball)
    stemcells = two.rows("stemcells")
    assert sorted(row["cpi"] for row in stemcells) == ["left", "right"]
    assert "Task" not in two.run("upload-stemcell", stemcell_tarball).stdout, "all have it"

    file = write(greeter("both"), tmp_path)
    two.run("deploy", file)
    rows = {row["az"]: row for row in two.rows("-d", "both", "instances", "--details")}
    assert {az: row["ips"].rpartition(".")[0] for az, row in rows.items()} == {
        "z1": "10.238.1",
        "z2": "10.238.2",
    }
    assert {row["process_state"] for row in rows.values()} == {"running"}
    assert machines(two) == {"left": [rows["z1"]["vm_cid"]], "right": [rows["z2"]["vm_cid"]]}
    assert not (two.home / "local").exists(), "nobody used the default CPI"
    assert links() == ["10.238.1.1", "10.238.2.1"]
    assert "Updating instance" not in two.run("deploy", file).stdout

    deploys = [row["id"] for row in two.rows("tasks", "-r") if row["deployment"] == "both"]
    log = two.run("task", deploys[-1], "--cpi").stdout
    told = [json.loads(line.partition("] ")[2]) for line in log.splitlines()]
    made = [entry["cpi"] for entry in told if entry["method"] == "create_vm" and "result" in entry]
    assert sorted(made) == ["left", "right", "right"], "packages are compiled on the right"

    two.run("delete-deployment", "-d", "both")
    assert machines(two) == {"left": [], "right": []}
    two.run("delete-stemcell", f"{stemcells[0]['name']}/{stemcells[0]['version'].rstrip('*')}")
    assert two.rows("stemcells") == []
    assert links() == []

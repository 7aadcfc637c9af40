"""The file a CPI is tested with: what it gives, and what is said when it is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cpis.contract import CloudError
from cpis.kit.trial import Trial, read_trial
from cpis.memory import MemoryCpi

FILE: dict[str, Any] = {
    "properties": {},
    "test": {
        "stemcell": {"image": "image", "cloud_properties": {"disk_format": "raw"}},
        "networks": {
            "default": {
                "range": "10.0.0.0/24",
                "gateway": "10.0.0.1",
                "addresses": ["10.0.0.20-10.0.0.22", "10.0.0.40"],
                "cloud_properties": {"subnet": "s"},
            },
            "other": {"type": "dynamic"},
        },
        "dynamic": {"range": "10.9.0.0/24"},
        "vm": {"cpu": 1},
        "disk": {"type": "fast"},
    },
}


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "image").write_text("")
    return tmp_path


def read(beside: Path, **changes: Any) -> Trial:
    data = copy.deepcopy(FILE)
    data["test"].update(changes)
    return read_trial("memory", data, beside=beside, run_id="run", real=False)


def test_what_the_checks_are_given(beside: Path) -> None:
    trial = read(beside)
    given = trial.given
    assert isinstance(trial.cpi, MemoryCpi)
    assert given.image_path == str(beside / "image")
    assert given.stemcell_properties == {"disk_format": "raw"}
    assert (given.vms, given.disk_mb, given.boot_timeout_s, given.run_id) == (4, 1024, 600, "run")
    assert (given.cloud_properties, given.disk_cloud_properties) == ({"cpu": 1}, {"type": "fast"})
    assert [given.networks(n)["default"]["ip"][-2:] for n in range(4)] == ["20", "21", "22", "40"]
    assert given.networks(1) == {
        "default": {
            "type": "manual",
            "ip": "10.0.0.21",
            "netmask": "255.255.255.0",
            "gateway": "10.0.0.1",
            "dns": [],
            "default": ["dns", "gateway"],
            "cloud_properties": {"subnet": "s"},
        },
        "other": {"type": "dynamic", "dns": [], "default": [], "cloud_properties": {}},
    }
    assert given.dynamic is not None
    assert given.dynamic["default"]["cloud_properties"] == {"range": "10.9.0.0/24"}
    assert given.env["bosh"]["ssh_host_key"]["public_key"].startswith("ssh-ed25519 ")
    assert given.run is None
    assert isinstance(given.again(), MemoryCpi)


def test_only_dynamic_networks_and_a_light_stemcell(beside: Path) -> None:
    given = read(
        beside, networks={"default": {"type": "dynamic"}}, stemcell={"light": True}, vms=3
    ).given
    assert (given.light, given.image_path, given.vms) == (True, "/dev/null", 3)
    assert "ip" not in given.networks(2)["default"]


def network(**changes: Any) -> dict[str, Any]:
    shape = {"range": "10.0.0.0/24", "addresses": ["10.0.0.2-10.0.0.9"]}
    return {"networks": {"default": {**shape, **changes}}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stemcel": {}}, "did you mean 'stemcell'?"),
        ({"vms": 1}, "'test.vms' that is not at least 2"),
        ({"networks": {}}, "test.networks"),
        ({"stemcell": {"image": "no"}}, "there is no image"),
        (network(range="10.0.0.1/24"), "no usable 'range'"),
        (network(range=None), "'test.networks.default.range' that is not string"),
        (network(addresses=["10.0.0.2"]), "has 1 'addresses', too few"),
        (network(addresses=["10.0.0.9-10.0.0.2"]), "has 0 'addresses', too few"),
        (network(addresses=["10.0.0.x"]), "the address '10.0.0.x'"),
        (network(adresses=[]), "did you mean 'addresses'?"),
    ],
)
def test_what_is_wrong(beside: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(CloudError) as caught:
        read(beside, **changes)
    assert says in str(caught.value)


def test_a_huge_span_of_addresses_costs_nothing(beside: Path) -> None:
    assert read(beside, **network(addresses=["10.0.0.2-255.255.255.255"])).given.vms == 6

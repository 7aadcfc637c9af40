"""Cloud configs: what is read, and every error with its place."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from director.manifest.emit import emit
from director.manifest.located_yaml import load_located
from director.manifest.ops_files import apply_ops
from director.manifest.read_cloud_config import read_cloud_config
from director.model.configs import CloudConfig, DynamicSubnet
from director.model.errors import CloudConfigError, DirectorError, ErrorList, NotSupported
from director.model.source import Source

BASE = """\
azs:
- {name: z1, cloud_properties: {a: 1}}
- name: z2
vm_types:
- {name: small, cloud_properties: {cpu: ((/cpu))}}
vm_extensions:
- {name: lb}
disk_types:
- {name: big, disk_size: 10_240}
networks:
- name: net
  subnets:
  - range: 10.0.0.0/24
    gateway: 10.0.0.1
    az: z1
    dns: [8.8.8.8]
    reserved: [10.0.0.2-10.0.0.9, 10.0.0.10, 10.0.0.64/29]
    static: [10.0.0.100 - 10.0.0.110, 10.0.0.112/30]
  - {range: 10.0.1.0/24, gateway: 10.0.1.1, azs: [z2]}
- {name: dyn, type: dynamic, cloud_properties: {x: 1}}
compilation: {workers: 2, network: net, az: z1, vm_type: small, vm_extensions: [lb]}
"""


def changed(*ops: tuple[str, Any]) -> str:
    data = load_located(BASE, "c").data
    return emit(
        apply_ops(data, [{"type": "replace", "path": p, "value": v} for p, v in ops], "ops")
    )


def errors_of(*texts: str) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        read_cloud_config([(f"c{n}.yml", text) for n, text in enumerate(texts)])
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


def pairs(*texts: str) -> tuple[tuple[IPv4Address, IPv4Address], ...]:
    found = (text.partition("-") for text in texts)
    return tuple((IPv4Address(a), IPv4Address(b or a)) for a, _, b in found)


def test_reads_a_cloud_config():
    config = read_cloud_config([("c.yml", BASE)])
    assert config.disk_types["big"].disk_size_mb == 10240
    assert config.networks["net"].type == "manual"
    assert config.networks["net"].azs == ("z1", "z2")
    first, second = config.networks["net"].subnets
    assert first.range == IPv4Network("10.0.0.0/24")
    assert first.gateway == IPv4Address("10.0.0.1")
    assert first.reserved == pairs("10.0.0.0-10.0.0.10", "10.0.0.64-10.0.0.71", "10.0.0.255")
    assert first.static == pairs("10.0.0.100-10.0.0.110", "10.0.0.112-10.0.0.115")
    assert second.reserved == pairs("10.0.1.0-10.0.1.1", "10.0.1.255")
    assert config.networks["dyn"].dynamic_subnets == (DynamicSubnet(cloud_properties={"x": 1}),)
    assert config.compilation is not None
    assert config.compilation.vm_extensions == ("lb",)
    assert config.vm_cloud_properties(az="z1", vm_type="small", vm_extensions=("lb",)) == {
        "a": 1,
        "cpu": "((/cpu))",
    }


def test_single_texts_stand_for_lists_and_a_16_costs_nothing():
    text = changed(
        ("/networks/0/subnets/0/range", "10.0.0.0/8"),
        ("/networks/0/subnets/0/reserved", "10.0.0.2-10.200.0.0"),
        ("/networks/0/subnets/0/static", "10.255.0.1"),
        ("/networks/0/subnets/1/range", "192.168.7.9/24"),
        ("/networks/0/subnets/1/gateway", "192.168.7.1"),
    )
    first, second = read_cloud_config([("c.yml", text)]).networks["net"].subnets
    assert first.reserved == pairs("10.0.0.0-10.200.0.0", "10.255.255.255")
    assert second.range == IPv4Network("192.168.7.0/24")


def test_no_text_is_an_empty_config():
    assert read_cloud_config([]) == CloudConfig()


def test_several_texts_are_put_together():
    second = "azs: [{name: z3}]\nvm_types: [{name: large}]\n"
    config = read_cloud_config([("a.yml", BASE), ("b.yml", second)])
    assert list(config.azs) == ["z1", "z2", "z3"]
    assert config.sources[("azs", 2, "name")] == Source("b.yml", 1, 14)


def test_names_are_unique_across_texts():
    twice = "azs: [{name: z1}]\ncompilation: {workers: 1, network: net}\n"
    (error,) = errors_of(BASE, twice)
    assert error.what == "'compilation' is in 'c0.yml' already"
    (error,) = errors_of(BASE, "azs: [{name: z1}]\n")
    assert error.what == "AZ 'z1' is listed twice (first in line 2 of c0.yml)"
    assert error.where == Source("c1.yml", 1, 14)


S = "/networks/0/subnets/0"


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (f"{S}/range", "10.0.0/24", "is not a range"),
        (f"{S}/range", "10.0.0.0", "is not a range"),
        (f"{S}/range", "fd00::/64", "IPv6"),
        (f"{S}/gateway", "10.1.0.1", "gateway '10.1.0.1' is outside the range"),
        (f"{S}/gateway", "10.0.0.0", "is the network address"),
        (f"{S}/gateway", "10.0.0.255", "is the broadcast address"),
        (f"{S}/gateway", "x", "'x' is not an IPv4 address"),
        (f"{S}/gateway", None, "has no 'gateway'"),
        (f"{S}/reserved", ["10.1.0.1"], "reserved address '10.1.0.1' is outside the range"),
        (f"{S}/reserved", ["10.0.0.9-10.0.0.2"], "ends before it begins"),
        (f"{S}/static", ["10.0.0.250-10.0.1.3"], "outside the range"),
        (f"{S}/static", ["10.0.0.9-10.0.0.12"], "is partly reserved: 10.0.0.9-10.0.0.10"),
        (f"{S}/static", ["10.0.0.1"], "holds 10.0.0.1, which is its gateway"),
        (f"{S}/static", ["10.0.0.240/28"], "holds 10.0.0.255, which is its broadcast"),
        (f"{S}/dns", ["ns"], "'ns' does not appear to be"),
        (f"{S}/azs?", ["z1"], "has both 'az' and 'azs'"),
        (f"{S}/az", "z9", "uses unknown AZ 'z9'"),
        ("/networks/0/subnets/1/range", "10.0.0.128/25", "overlaps '10.0.0.0/24'"),
        ("/networks/0/subnets?", None, "network 'net' has no 'subnets'"),
        ("/networks/0/dns?", ["1.1.1.1"], "has 'dns' beside 'subnets'"),
        ("/networks/1/subnets?", [{"range": "10.0.0.0/24"}], "has 'range'"),
        ("/networks/1/type", "dynamc", "'type' of network 'dyn' cannot be 'dynamc'"),
        ("/disk_types/0/disk_size", "10GB", "'disk_size' of disk type 'big' cannot be '10GB'"),
        ("/disk_types/0/disk_sise?", 1, "unknown key 'disk_sise'"),
        ("/vm_types/0/cloud_properties", {"a": ["((rel))"]}, "'((rel))' in a cloud config"),
        ("/vm_types/0/name", "((/n))", "needs a value for '((/n))'"),
        ("/vm_types/-", {"name": "small"}, "VM type 'small' is listed twice"),
        ("/compilation/workers", 0, "'compilation.workers' cannot be the number 0"),
        ("/compilation/network", "nett", "uses unknown network 'nett'"),
        ("/compilation/vm_type", "smal", "uses unknown vm_type 'smal'"),
        ("/compilation/az", "z7", "uses unknown az 'z7'"),
        ("/compilation/az", None, "names no AZ"),
        ("/compilation/network", "dyn", "has no subnet in the AZ 'z1'"),
        ("/compilation/cloud_properties?", {"a": 1}, "both 'vm_type' and 'cloud_properties'"),
        ("/compilation/vm_type", None, "'vm_extensions' and no 'vm_type'"),
        ("/compilation/vm_extensions", ["x"], "uses unknown vm_extension 'x'"),
    ],
)
def test_one_error(path, value, what):
    found = errors_of(changed((path, value)))
    (error,) = (error for error in found if what in error.what)
    assert isinstance(error, CloudConfigError)
    assert error.fix
    assert error.where


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/networks/0/managed?", True),
        (f"{S}/prefix?", 80),
        (f"{S}/netmask_bits?", 24),
        ("/compilation/orphan_workers?", True),
        ("/compilation/env?", {"bosh": {"password": "x"}}),
        ("/resource_pools?", [{"name": "x"}]),
    ],
)
def test_not_supported_is_said_by_name(path, value):
    (error,) = errors_of(changed((path, value)))
    assert isinstance(error, NotSupported)


def test_every_overlap_is_found():
    subnets = [
        {"range": r, "gateway": r.replace("0/", "1/").partition("/")[0]}
        for r in ("10.0.0.0/8", "10.0.0.0/24", "10.3.0.0/24", "11.0.0.0/24")
    ]
    text = emit({"networks": [{"name": "n", "subnets": subnets}]})
    assert [e.where.line for e in errors_of(text)] == [6, 8]


def test_errors_of_all_texts_at_once():
    assert len(errors_of("a: 1\na: 2", "- x", "azs: [}")) == 3


def test_the_sample_cloud_config_is_read():
    root = Path(__file__).parents[3]
    for path in (root / "manifests").glob("cloud-config*.yml"):
        assert read_cloud_config([(path.name, path.read_text())]).compilation

"""Vip networks in a cloud config and a manifest: what is read, every error with its place."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from director.manifest.read_cloud_config import read_cloud_config
from director.manifest.read_deployment import read_deployment
from director.manifest.resolve import resolve
from director.model.configs import Network, VipSubnet
from director.model.errors import CloudConfigError, DirectorError, ErrorList, NetworkError
from director.model.ids import StemcellCid
from director.model.resolved import ResolvedDeployment
from director.model.stemcell import Stemcell

AZS = "azs: [{name: z1}, {name: z2}]\nvm_types: [{name: small}]\nnetworks:\n"
NET = (
    "- {name: net, subnets: [{range: 10.0.0.0/24, gateway: 10.0.0.1, azs: [z1, z2],"
    " static: [10.0.0.9]}]}\n"
)
LISTED = "- {name: vip, type: vip, cloud_properties: {pool: outside}}\n"
POOL = """\
- name: vip
  type: vip
  subnets:
  - {static: [198.51.100.4-198.51.100.5, 198.51.100.9], az: z1, cloud_properties: {a: 1}}
  - {static: 203.0.113.0/30, az: z2}
"""
MANIFEST = """\
name: d
releases: []
stemcells: [{alias: s, os: o, version: latest}]
update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1, update_watch_time: 1}
instance_groups:
- name: web
  azs: [z1, z2]
  instances: 2
  vm_type: small
  stemcell: s
  jobs: []
  networks:
"""
BOTH = "  - {name: net, default: [dns, gateway]}\n"


def networks(text: str) -> dict[str, Network]:
    return dict(read_cloud_config([("c.yml", AZS + text)]).networks)


def deployment(cloud: str, uses: str) -> ResolvedDeployment:
    stemcell = Stemcell(name="o", version="1", operating_system="o", cid=StemcellCid("c"))
    config = read_cloud_config([("c.yml", AZS + NET + cloud)])
    return resolve(read_deployment(MANIFEST + uses, "m.yml"), config, [], [stemcell])


def errors(make: Any, *args: str) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        make(*args)
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


def test_a_vip_network_without_subnets_takes_addresses_from_manifests() -> None:
    vip = networks(LISTED)["vip"]
    assert (vip.type, vip.azs, vip.has_pool) == ("vip", (), False)
    assert vip.vip_subnets == (VipSubnet(cloud_properties={"pool": "outside"}),)


def test_a_vip_network_with_subnets_has_addresses_of_its_own() -> None:
    vip = networks(POOL)["vip"]
    assert (vip.azs, vip.has_pool, vip.subnets) == (("z1", "z2"), True, ())
    first, second = vip.vip_subnets
    assert first.cloud_properties == {"a": 1}
    assert [str(a) for pair in first.static for a in pair] == [
        *("198.51.100.4", "198.51.100.5", "198.51.100.9", "198.51.100.9"),
    ]
    assert second.static == ((IPv4Address("203.0.113.0"), IPv4Address("203.0.113.3")),)


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        ("- {name: v, type: vip, subnets: [{az: z1}]}\n", "has no 'static'", 4),
        (
            "- {name: v, type: vip, subnets: [{static: [1.1.1.1], range: 1.1.1.0/24}]}\n",
            "has 'range'",
            4,
        ),
        ("- {name: v, type: vip, subnets: [{static: [1.1.1.1], dns: [8.8.8.8]}]}\n", "'dns'", 4),
        ("- {name: v, type: vip, dns: [8.8.8.8]}\n", "has 'dns'", 4),
        (
            "- {name: v, type: vip, cloud_properties: {}, subnets: [{static: [1.1.1.1]}]}\n",
            "has 'cloud_properties' beside 'subnets'",
            4,
        ),
        ("- {name: v, type: vip, subnets: [{static: [1.1.1.1-1.1.1.x]}]}\n", "1.1.1.x", 4),
        (
            "- name: v\n  type: vip\n  subnets:\n  - {static: [1.1.1.1]}\n"
            "  - {static: [1.1.1.0-1.1.1.9]}\n",
            "has '1.1.1.1' twice",
            8,
        ),
        ("- {name: v, type: vip, subnets: [{static: [1.1.1.1], az: z9}]}\n", "unknown AZ 'z9'", 4),
        (LISTED + "compilation: {workers: 1, network: vip}\n", "uses the vip network 'vip'", 5),
    ],
)
def test_what_a_cloud_config_cannot_say(text: str, what: str, line: int) -> None:
    (error,) = errors(networks, text)
    assert isinstance(error, CloudConfigError)
    assert what in error.what
    assert error.where is not None
    assert error.where.line == line
    assert error.fix


@pytest.mark.parametrize(
    ("cloud", "uses"),
    [
        (LISTED, BOTH + "  - {name: vip, static_ips: [192.0.2.1-192.0.2.2]}\n"),
        (POOL, BOTH + "  - {name: vip}\n"),
    ],
)
def test_what_a_manifest_may_say(cloud: str, uses: str) -> None:
    (group,) = deployment(cloud, uses).groups
    assert [network.type for _, network in group.networks] == ["manual", "vip"]


@pytest.mark.parametrize(
    ("cloud", "uses", "what", "line"),
    [
        (LISTED, BOTH + "  - {name: vip}\n", "names no static IPs on the vip network 'vip'", 14),
        (
            POOL,
            BOTH + "  - {name: vip, static_ips: [198.51.100.4, 198.51.100.5]}\n",
            "which has addresses of its own",
            14,
        ),
        (
            LISTED,
            BOTH + "  - {name: vip, static_ips: [192.0.2.1]}\n",
            "2 instances and 1 static",
            14,
        ),
        (LISTED, "  - {name: vip, static_ips: [192.0.2.1-192.0.2.2]}\n", "no network but vip", 13),
        (
            LISTED,
            "  - {name: net, default: [dns]}\n"
            "  - {name: vip, default: [gateway], static_ips: [192.0.2.1-192.0.2.2]}\n",
            "'default: [gateway]' at the vip network 'vip'",
            14,
        ),
        (
            "- {name: vip, type: vip, subnets: [{static: [192.0.2.1-192.0.2.2], az: z1}]}\n",
            BOTH + "  - {name: vip}\n",
            "has no subnet in the AZ 'z2'",
            14,
        ),
    ],
)
def test_what_a_manifest_cannot_say(cloud: str, uses: str, what: str, line: int) -> None:
    (error,) = errors(deployment, cloud, uses)
    assert what in error.what
    assert error.where is not None
    assert error.where.line == line
    assert error.fix


def test_an_address_is_asked_for_by_one_group() -> None:
    text = MANIFEST.replace("instances: 2", "instances: 1")
    group = text.partition("- name: web")[2]
    use = BOTH + "  - {name: vip, static_ips: [192.0.2.1]}\n"

    def two_groups() -> None:
        stemcell = Stemcell(name="o", version="1", operating_system="o", cid=StemcellCid("c"))
        manifest = f"{text}{use}- name: app{group}{use}"
        config = read_cloud_config([("c.yml", AZS + NET + LISTED)])
        resolve(read_deployment(manifest, "m.yml"), config, [], [stemcell])

    (error,) = errors(two_groups)
    assert isinstance(error, NetworkError)
    assert "both ask for the static IP '192.0.2.1'" in error.what

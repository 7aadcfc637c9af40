"""From networks to network cards."""

from __future__ import annotations

import pytest

from cpis.contract import CloudError
from cpis.local.addresses import dns_servers, filled_networks, plan_cards

A = {"type": "manual", "ip": "10.0.0.5", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}
B = {"type": "manual", "ip": "10.9.0.5", "netmask": "255.255.0.0"}


def plan(networks: dict, pick=lambda subnet: "10.250.0.2"):
    return plan_cards("director", "vm-1", networks, pick)


def test_one_card_a_network_and_one_default_route() -> None:
    cards = plan({"b": B, "a": {**A, "default": ["gateway", "dns"]}})
    assert [(c.network, c.interface, c.default_route) for c in cards] == [
        ("b", "10.9.0.5/16", False),
        ("a", "10.0.0.5/24", True),
    ]
    assert len({c.subnet.bridge for c in cards}) == 2
    assert all(len(name) <= 15 for c in cards for name in (c.link, c.subnet.bridge))


def test_names_follow_from_director_and_range_and_hardware_from_the_address() -> None:
    one, again = plan({"a": A})[0], plan_cards("director", "vm-2", {"x": A}, str)[0]
    other = plan_cards("other", "vm-1", {"a": A}, str)[0]
    assert one.subnet == again.subnet
    assert one.mac == again.mac
    assert one.link != again.link
    assert one.subnet.bridge != other.subnet.bridge


def test_dynamic_networks_get_what_was_picked() -> None:
    networks = {"d": {"type": "dynamic", "cloud_properties": {"range": "10.8.0.0/24"}}}
    cards = plan(networks, pick=lambda subnet: f"{subnet.range[:-5]}.7")
    assert filled_networks(networks, cards)["d"] | {"cloud_properties": 0} == {
        "type": "dynamic",
        "cloud_properties": 0,
        "ip": "10.8.0.7",
        "netmask": "255.255.255.0",
        "gateway": "10.8.0.1",
    }


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ({}, "no ip"),
        ({"ip": "10.0.0.5"}, "no netmask"),
        ({**A, "ip": "10.0.0.256"}, "wrong address"),
        ({**A, "gateway": "10.0.1.1"}, "outside 10.0.0.0/24"),
        ({**A, "gateway": "10.0.0.5"}, "its gateway's address"),
        ({**A, "gateway": None}, "no gateway"),
        ({**A, "type": "vip"}, "type 'vip'"),
        ({**A, "cloud_properties": {"net_id": "x"}}, "unknown cloud property 'net_id'"),
        ({"type": "dynamic", "cloud_properties": {"rnage": "x"}}, "did you mean 'range'"),
        ({"type": "dynamic", "cloud_properties": {"range": "10.0.0.1/24"}}, "host bits"),
        ({"type": "dynamic", "cloud_properties": {"range": "10.0.0.0/30"}}, "too small"),
    ],
)
def test_networks_that_are_refused(network: dict, says: str) -> None:
    with pytest.raises(CloudError, match=says):
        plan({"a": network})


def test_a_vm_without_networks_is_refused() -> None:
    with pytest.raises(CloudError, match="could not be reached"):
        plan({})


def test_name_servers_come_from_the_network_that_is_default_for_dns() -> None:
    networks = {
        "a": {**A, "dns": ["1.1.1.1"], "default": ["gateway"]},
        "b": {**B, "dns": ["9.9.9.9", "8.8.8.8"], "default": ["dns"]},
    }
    assert dns_servers(networks) == ("9.9.9.9", "8.8.8.8")

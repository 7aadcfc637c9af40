from __future__ import annotations

from itertools import count

import pytest
from builders import dynamic_network, group, instance, network, resolved, spec, subnet, vm

from director.model.configs import DynamicSubnet
from director.model.errors import NetworkError
from director.model.instances import NetworkSpec
from director.model.manifest import NetworkUse
from director.model.source import Source
from director.plan.placement import place


def addresses(deployment, recorded=(), taken=None):
    ids = count()
    placed = place(deployment, recorded, taken or {}, lambda: f"new{next(ids)}")
    return [s.networks[0].ip for s in placed.specs]


def on(*subnets, instances=1, azs=(), static_ips=(), name="default"):
    use = NetworkUse(name=name, static_ips=tuple(static_ips))
    return resolved(group(instances=instances, azs=azs, networks=((use, network(name, *subnets)),)))


@pytest.mark.parametrize(
    ("subnets", "taken", "expected"),
    [
        pytest.param([subnet()], {}, ["10.0.0.2", "10.0.0.3"], id="lowest free"),
        pytest.param(
            [subnet(reserved=["10.0.0.2-10.0.0.9"])],
            {},
            ["10.0.0.10", "10.0.0.11"],
            id="skips reserved",
        ),
        pytest.param(
            [subnet(static=["10.0.0.2", "10.0.0.4"])],
            {},
            ["10.0.0.3", "10.0.0.5"],
            id="skips static",
        ),
        pytest.param(
            [subnet()],
            {("default", "10.0.0.2"): "x", ("other", "10.0.0.3"): "y"},
            ["10.0.0.4", "10.0.0.5"],
            id="skips taken, on whatever network",
        ),
        pytest.param(
            [subnet("10.0.0.0/30"), subnet("10.0.1.0/24")],
            {},
            ["10.0.0.2", "10.0.1.2"],
            id="next subnet",
        ),
        pytest.param(
            [subnet("10.0.0.0/8", reserved=["10.0.0.0-10.255.255.250"])],
            {},
            ["10.255.255.251", "10.255.255.252"],
            id="a huge reserved range costs nothing",
        ),
    ],
)
def test_a_new_instance_gets_the_lowest_free_address(subnets, taken, expected):
    assert addresses(on(*subnets, instances=2), taken=taken) == expected


def test_addresses_come_from_the_subnets_of_the_az():
    subnets = [subnet("10.0.1.0/24", azs=["z1"]), subnet("10.0.2.0/24", azs=["z2"])]
    assert addresses(on(*subnets, instances=3, azs=["z1", "z2"])) == [
        "10.0.1.2",
        "10.0.2.2",
        "10.0.1.3",
    ]


@pytest.mark.parametrize(
    ("pool", "ip", "expected"),
    [
        pytest.param(subnet(), "10.0.0.77", "10.0.0.77", id="kept"),
        pytest.param(subnet(reserved=["10.0.0.77"]), "10.0.0.77", "10.0.0.2", id="now reserved"),
        pytest.param(subnet(static=["10.0.0.77"]), "10.0.0.77", "10.0.0.2", id="now static"),
        pytest.param(subnet("10.9.0.0/24"), "10.0.0.77", "10.9.0.2", id="another range"),
    ],
)
def test_an_instance_keeps_its_address_while_it_may(pool, ip, expected):
    assert addresses(on(pool), [instance()], {("default", ip): "i0"}) == [expected]


def test_an_address_follows_a_renamed_network():
    recorded = instance(
        spec=spec(networks=(NetworkSpec(name="old", type="manual", ip="10.0.0.9"),))
    )
    assert addresses(on(subnet()), [recorded]) == ["10.0.0.9"]


def test_what_a_doomed_instance_holds_is_not_given_to_another():
    doomed = instance("old", group="gone")
    assert addresses(on(subnet()), [doomed], {("default", "10.0.0.2"): "old"}) == ["10.0.0.3"]


def test_no_address_left_says_where_and_what_to_do():
    deployment = on(subnet("10.0.0.0/30"), instances=2)
    where = Source("m.yml", 7, 3)
    with pytest.raises(NetworkError) as caught:
        addresses(resolved(*deployment.groups, sources={("instance_groups", 0): where}))
    assert "no free address left" in caught.value.what
    assert caught.value.where == where
    assert "widen" in str(caught.value.fix)


def test_an_az_without_subnet():
    with pytest.raises(NetworkError, match="no subnet in AZ 'z2'"):
        addresses(on(subnet(azs=["z1"]), instances=2, azs=["z1", "z2"]))


def test_a_dynamic_network_keeps_what_the_cloud_gave():
    net = dynamic_network("cloud", DynamicSubnet(dns=("1.1.1.1",), cloud_properties={"a": 1}))
    deployment = resolved(group(instances=2, networks=((NetworkUse(name="cloud"), net),)))
    known = instance(vm=vm(networks={"cloud": {"ip": "172.16.0.5"}}))
    placed = place(deployment, [known], {}, lambda: "new")
    assert [s.networks[0].ip for s in placed.specs] == ["172.16.0.5", None]
    assert placed.specs[0].networks[0].dns == ("1.1.1.1",)
    assert placed.specs[0].networks[0].default == ("dns", "gateway")


# -- static addresses ---------------------------------------------------------------------------

Z1 = subnet("10.0.1.0/24", azs=["z1"], static=["10.0.1.10-10.0.1.20"])
Z2 = subnet("10.0.2.0/24", azs=["z2"], static=["10.0.2.10-10.0.2.20"])
BOTH = subnet("10.0.3.0/24", azs=["z1", "z2"], static=["10.0.3.10-10.0.3.20"])


def placed_static(subnets, static_ips, recorded=(), taken=None, azs=("z1", "z2")):
    deployment = on(*subnets, instances=len(static_ips), azs=azs, static_ips=static_ips)
    ids = count()
    placed = place(deployment, recorded, taken or {}, lambda: f"new{next(ids)}")
    return {s.id: (s.az, s.networks[0].ip) for s in placed.specs}, placed


def test_static_addresses_decide_the_az():
    found, _ = placed_static([Z1, Z2], ["10.0.2.10", "10.0.2.11", "10.0.1.10"])
    assert sorted(found.values()) == [
        ("z1", "10.0.1.10"),
        ("z2", "10.0.2.10"),
        ("z2", "10.0.2.11"),
    ]


def test_addresses_of_two_azs_are_spread_evenly():
    found, _ = placed_static([BOTH], [f"10.0.3.{n}" for n in range(10, 14)])
    assert sorted(az for az, _ in found.values()) == ["z1", "z1", "z2", "z2"]


def test_whoever_has_a_listed_address_keeps_it_whatever_the_order():
    recorded = [instance("a", 0, az="z1"), instance("b", 1, az="z1")]
    taken = {("default", "10.0.1.11"): "a", ("default", "10.0.1.10"): "b"}
    found, placed = placed_static([Z1, Z2], ["10.0.1.10", "10.0.1.11"], recorded, taken)
    assert found == {"a": ("z1", "10.0.1.11"), "b": ("z1", "10.0.1.10")}
    assert placed.surplus == ()


def test_an_instance_without_a_listed_address_stays_if_its_az_has_one_left():
    recorded = [instance("a", 0, az="z1"), instance("b", 1, az="z2")]
    found, placed = placed_static([Z1, Z2], ["10.0.1.10", "10.0.1.11"], recorded)
    assert found == {"a": ("z1", "10.0.1.10"), "new0": ("z1", "10.0.1.11")}
    assert [i.id for i in placed.surplus] == ["b"]


def test_two_static_networks_agree_on_azs():
    both = network("a", BOTH)
    strict = network("b", Z1, Z2)
    uses = (
        (NetworkUse(name="a", static_ips=("10.0.3.10", "10.0.3.11")), both),
        (NetworkUse(name="b", static_ips=("10.0.2.10", "10.0.2.11")), strict),
    )
    deployment = resolved(group(instances=2, azs=["z1", "z2"], networks=uses))
    placed = place(deployment, [], {}, iter(["x", "y"]).__next__)
    assert {s.az for s in placed.specs} == {"z2"}
    assert {s.networks[0].ip for s in placed.specs} == {"10.0.3.10", "10.0.3.11"}


@pytest.mark.parametrize(
    ("subnets", "static_ips", "recorded", "taken", "message"),
    [
        pytest.param([Z1], ["10.7.0.1"], [], {}, "in no subnet", id="outside"),
        pytest.param([Z1], ["10.0.1.1"], [], {}, "is reserved", id="reserved"),
        pytest.param([Z1], ["10.0.1.99"], [], {}, "not in a static range", id="not static"),
        pytest.param(
            [Z1],
            ["10.0.1.10"],
            [],
            {("default", "10.0.1.10"): "stranger"},
            "in use by 'stranger'",
            id="taken",
        ),
        pytest.param(
            [Z1],
            ["10.0.1.10"],
            [instance("old", group="gone")],
            {("default", "10.0.1.10"): "old"},
            "in use by 'gone/old'",
            id="taken by one that goes",
        ),
        pytest.param(
            [subnet("10.0.9.0/24", azs=["z9"], static=["10.0.9.10"])],
            ["10.0.9.10"],
            [],
            {},
            "belongs to AZ 'z9'",
            id="an AZ the group does not use",
        ),
        pytest.param(
            [Z2, Z1],
            ["10.0.2.10"],
            [instance("a", az="z1")],
            {("default", "10.0.2.10"): "a"},
            "is held by 'redis/a' in AZ 'z1'",
            id="its subnet moved",
        ),
    ],
)
def test_static_addresses_that_cannot_be_had(subnets, static_ips, recorded, taken, message):
    with pytest.raises(NetworkError) as caught:
        placed_static(subnets, static_ips, recorded, taken)
    assert message in caught.value.what
    assert caught.value.fix


def test_two_groups_cannot_have_the_same_static_address():
    net = network("default", subnet(static=["10.0.0.10"]))
    use = NetworkUse(name="default", static_ips=("10.0.0.10",))
    deployment = resolved(group("a", networks=((use, net),)), group("b", networks=((use, net),)))
    with pytest.raises(NetworkError, match="in use by 'a/new0'"):
        addresses(deployment)


def test_two_networks_whose_static_addresses_do_not_fit():
    uses = (
        (NetworkUse(name="a", static_ips=("10.0.1.10", "10.0.1.11")), network("a", Z1)),
        (NetworkUse(name="b", static_ips=("10.0.2.10", "10.0.2.11")), network("b", Z2)),
    )
    deployment = resolved(group(instances=2, azs=["z1", "z2"], networks=uses))
    with pytest.raises(NetworkError, match="do not fit the AZs"):
        place(deployment, [], {}, iter("xy").__next__)

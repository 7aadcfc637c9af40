"""Who gets which vip address, who keeps one, and what another one means."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from builders import (
    applied,
    group,
    instance,
    ips,
    manual_place,
    network,
    resolved,
    running,
    spec,
    subnet,
)

from director.model.configs import Network, VipSubnet
from director.model.errors import NetworkError
from director.model.instances import InstanceSpec, NetworkSpec, RecordedInstance
from director.model.manifest import NetworkUse
from director.plan.changes import changes
from director.plan.options import PlanOptions
from director.plan.placement import Placement, place
from director.plan.steps import Reason

LISTED = Network(name="vip", type="vip", vip_subnets=(VipSubnet(cloud_properties={"p": 1}),))
POOL = Network(
    name="vip",
    type="vip",
    vip_subnets=(
        VipSubnet(azs=("z1",), static=ips("192.0.2.1-192.0.2.2")),
        VipSubnet(azs=("z2",), static=ips("198.51.100.7")),
    ),
)
INSIDE = (NetworkUse(name="default", default=("dns", "gateway")), network("default", subnet()))


def placed(
    vip: Network,
    *static_ips: str,
    recorded: tuple[RecordedInstance, ...] = (),
    taken: dict[tuple[str, str], str] | None = None,
    **changes: Any,
) -> Placement:
    use = NetworkUse(name="vip", static_ips=static_ips)
    wanted = group(networks=(INSIDE, (use, vip)), **changes)
    ids = count()
    return place(resolved(wanted), recorded, taken or {}, lambda: f"new{next(ids)}")


def vips(placement: Placement) -> dict[str, str | None]:
    return {s.id: n.ip for s in placement.specs for n in s.networks if n.type == "vip"}


def with_vip(id: str, index: int, ip: str, **changes: Any) -> RecordedInstance:
    places = (manual_place(f"10.0.0.{index + 2}"), NetworkSpec(name="vip", type="vip", ip=ip))
    return applied(spec(id, index=index, networks=places), **changes)


def test_listed_addresses_are_given_in_order_whatever_the_azs() -> None:
    found = placed(LISTED, "192.0.2.9", "192.0.2.1", instances=2, azs=["z1", "z2"])
    assert vips(found) == {"new0": "192.0.2.9", "new1": "192.0.2.1"}
    assert {s.az for s in found.specs} == {"z1", "z2"}
    (shape,) = {n.to_cpi()["ip"]: n.to_cpi() for n in found.specs[0].networks[1:]}.values()
    assert shape == {"type": "vip", "ip": "192.0.2.9", "cloud_properties": {"p": 1}}
    assert found.specs[0].address == "10.0.0.2"


def test_whoever_has_a_listed_address_keeps_it() -> None:
    recorded = (with_vip("a", 0, "192.0.2.1"), with_vip("b", 1, "192.0.2.2"))
    found = placed(LISTED, "192.0.2.3", "192.0.2.2", instances=2, recorded=recorded)
    assert vips(found) == {"a": "192.0.2.3", "b": "192.0.2.2"}


def test_instances_stay_where_they_are_when_they_get_a_vip() -> None:
    recorded = tuple(instance(f"i{n}", n, az="z1") for n in range(2))
    found = placed(LISTED, "192.0.2.1", "192.0.2.2", instances=2, azs=["z1"], recorded=recorded)
    assert set(vips(found)) == {"i0", "i1"}
    assert found.surplus == ()


def test_an_address_somebody_else_has_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"'192\.0\.2\.1' .* is in use by 'other/x'"):
        placed(LISTED, "192.0.2.1", taken={("public", "192.0.2.1"): "other/x"})


def test_a_pool_gives_the_lowest_free_address_of_the_az() -> None:
    taken = {("vip", "192.0.2.1"): "other/x"}
    found = placed(POOL, instances=2, azs=["z1", "z2"], taken=taken)
    assert vips(found) == {"new0": "192.0.2.2", "new1": "198.51.100.7"}


def test_an_address_of_a_pool_is_kept() -> None:
    recorded = (with_vip("a", 0, "192.0.2.2", az="z1"),)
    assert vips(placed(POOL, azs=["z1"], recorded=recorded)) == {"a": "192.0.2.2"}


def test_an_address_that_left_the_pool_is_replaced() -> None:
    recorded = (with_vip("a", 0, "192.0.2.77", az="z1"),)
    assert vips(placed(POOL, azs=["z1"], recorded=recorded)) == {"a": "192.0.2.1"}


def test_a_pool_that_is_used_up_is_an_error() -> None:
    with pytest.raises(NetworkError, match="'vip' has no free address left in AZ 'z2'") as raised:
        placed(POOL, instances=2, azs=["z2"])
    assert raised.value.fix is not None
    assert "'static'" in raised.value.fix


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ("192.0.2.1", "192.0.2.2", "network 'vip' address 192.0.2.1 → 192.0.2.2"),
        (None, "192.0.2.2", "network 'vip' added"),
        ("192.0.2.1", None, "network 'vip' removed"),
    ],
)
def test_another_vip_means_another_vm(before: str | None, after: str | None, detail: str) -> None:
    def with_ip(ip: str | None) -> InstanceSpec:
        vip = () if ip is None else (NetworkSpec(name="vip", type="vip", ip=ip),)
        return spec(networks=(manual_place(), *vip))

    (why,) = changes(with_ip(after), running(applied(with_ip(before))), PlanOptions())
    assert (why.reason, why.detail) == (Reason.NETWORK, detail)

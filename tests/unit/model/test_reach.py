"""At which of its addresses a VM is reached."""

from __future__ import annotations

from typing import Any

import pytest

from director.model.ids import AgentId
from director.model.instances import Reach, RecordedVm

A = {"type": "manual", "ip": "10.0.0.2", "default": []}
B = {"type": "dynamic", "ip": "10.1.0.2", "default": ["dns", "gateway"]}
VIP = {"type": "vip", "ip": "192.0.2.1"}


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        pytest.param([A], "10.0.0.2", "10.0.0.2", id="one network"),
        pytest.param([A, B], "10.1.0.2", "10.1.0.2", id="the one with the gateway"),
        pytest.param([VIP, A], "10.0.0.2", "192.0.2.1", id="a vip"),
        pytest.param([VIP, A, B], "10.1.0.2", "192.0.2.1", id="a vip and the gateway"),
        pytest.param(
            [{**A, "public_ip": "192.0.2.8"}, {**B, "public_ip": "192.0.2.9"}],
            "10.1.0.2",
            "192.0.2.9",
            id="what the cloud calls public",
        ),
        pytest.param([{**A, "public_ip": "192.0.2.8"}, VIP], "10.0.0.2", "192.0.2.1", id="both"),
        pytest.param([{"ip": "10.0.0.2"}], "10.0.0.2", "10.0.0.2", id="an old record"),
        pytest.param([{"type": "dynamic"}, VIP], "192.0.2.1", "192.0.2.1", id="only a vip"),
        pytest.param([{"type": "dynamic"}], None, None, id="none"),
        pytest.param([], None, None, id="no network"),
    ],
)
def test_the_address(
    networks: list[dict[str, Any]], inside: str | None, outside: str | None
) -> None:
    named = {f"n{n}": network for n, network in enumerate(networks)}
    vm = RecordedVm(agent_id=AgentId("a"), deployment="d", networks=named)
    assert (vm.address(), vm.address(Reach.VIP)) == (inside, outside)
    assert set(vm.ips) == {network["ip"] for network in networks if "ip" in network}

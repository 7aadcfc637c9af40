"""A project's network in a test cloud, and how a CPI and an administrator get in.

Requests go through the OpenStack CPI's own connections: the test cloud needs no second client.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from clouds.openstack.layout import HOST, SECRET, Layout

from cpis.libcloud_base.calls import Calls
from cpis.openstack import OpenStackCpi
from cpis.openstack.api import Api
from cpis.openstack.judge import judge
from cpis.openstack.keystone import ask_keystone
from cpis.openstack.properties import read_settings
from cpis.openstack.session import Session
from cpis.openstack.transport import Driver
from director.model.ids import DiskCid, SnapshotCid, VmCid


def properties(layout: Layout, **more: Any) -> dict[str, Any]:
    """Return the properties of a CPI for 'bosh'; through the proxy where there is one."""
    front = f"http://{HOST}:{layout.front}/identity/v3"
    return {
        "auth_url": front if layout.front else layout.url("keystone") + "/v3",
        "username": "bosh",
        "api_key": SECRET,
        "project": "bosh",
        "region": "RegionOne",
        "endpoint_type": "publicURL" if layout.front else "internalURL",
        "state_timeout": 60,
        **more,
    }


def cpi(layout: Layout, **more: Any) -> OpenStackCpi:
    """Return a CPI for the project 'bosh'."""
    return OpenStackCpi(properties(layout, **more))


def api(layout: Layout, who: str = "bosh") -> Api:
    """Return direct access to the services, past the proxy, as 'bosh' or 'admin'."""
    given = {
        **properties(layout),
        "auth_url": layout.url("keystone") + "/v3",
        "username": who,
        "project": who,
        "endpoint_type": "internalURL",
    }
    settings = read_settings(given)
    session = Session(lambda: ask_keystone(settings, None), time.time)
    return Api(Calls(lambda: Driver(session, settings, None), judge))


def add_network(layout: Layout, cidr: str) -> str:
    """Make the project's network 'bosh' with a router to the outside; returns its id.

    The first address is the gateway's, and DHCP agents, of which there are none, take no other.
    """
    own = api(layout)
    network = own.send("POST", "network", "/networks", {"network": {"name": "bosh"}}, "add")
    net_id = str(network["network"]["id"])
    gateway = str(next(ipaddress.ip_network(cidr).hosts()))
    wanted = {"network_id": net_id, "cidr": cidr, "ip_version": 4, "gateway_ip": gateway}
    subnet = own.send("POST", "network", "/subnets", {"subnet": wanted}, "add")["subnet"]
    outside = {"router:external": True}
    (public,) = own.pages("network", "/networks", "networks", "look", **outside)
    router = {"name": "bosh", "external_gateway_info": {"network_id": public["id"]}}
    made = own.send("POST", "network", "/routers", {"router": router}, "add")["router"]
    path = f"/routers/{made['id']}/add_router_interface"
    own.send("PUT", "network", path, {"subnet_id": subnet["id"]}, "add")
    return net_id


def add_floating_ip(layout: Layout) -> str:
    """Reserve a floating IP for the project; returns its address."""
    own = api(layout)
    outside = {"router:external": True}
    (public,) = own.pages("network", "/networks", "networks", "look", **outside)
    wanted = {"floatingip": {"floating_network_id": public["id"]}}
    made = own.send("POST", "network", "/floatingips", wanted, "add")
    return str(made["floatingip"]["floating_ip_address"])


def left(layout: Layout) -> list[str]:
    """Return what VMs and disks a project holds, and what was made for them."""
    own = api(layout)
    rows = [
        *own.pages("compute", "/servers", "servers", "list"),
        *own.pages("volume", "/volumes", "volumes", "list"),
        *own.pages("volume", "/snapshots", "snapshots", "list"),
        *own.get("compute", "/os-server-groups", "list")["server_groups"],
        *(
            port
            for port in own.pages("network", "/ports", "ports", "list")
            if not port["device_owner"].startswith("network:")
        ),
    ]
    return [f"{row.get('name')} {row['id']}" for row in rows]


def purge(layout: Layout) -> None:
    """Remove what :func:`left` tells, so that one failed test does not fail all that follow."""
    own, made = api(layout), cpi(layout)
    for server in own.pages("compute", "/servers", "servers", "list"):
        made.delete_vm(VmCid(server["id"]))
    for snapshot in own.pages("volume", "/snapshots", "snapshots", "list"):
        made.delete_snapshot(SnapshotCid(snapshot["id"]))
    for volume in own.pages("volume", "/volumes", "volumes", "list"):
        made.delete_disk(DiskCid(volume["id"]))
    for port in own.pages("network", "/ports", "ports", "list"):
        if not port["device_owner"].startswith("network:"):
            own.delete("network", f"/ports/{port['id']}", "delete")
    for group in own.get("compute", "/os-server-groups", "list")["server_groups"]:
        own.delete("compute", f"/os-server-groups/{group['id']}", "delete")

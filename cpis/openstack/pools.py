"""Load balancers: a VM joins Octavia's pools when it is made and leaves them when it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cpis.contract import CloudError
from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.judge import ApiError

METADATA = "director_lb_pools"
"""The key of a server's metadata under which the ids of its pools stand."""


def ids_of(cloud: Cloud, pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of pools by their names; raises CloudError for what is not one pool."""
    return [_id_of(cloud, str(pool["name"])) for pool in pools]


def _id_of(cloud: Cloud, name: str) -> str:
    def look() -> str:
        doing = f"look up the load balancer pool '{name}'"
        found = cloud.api.pages("load-balancer", "/lbaas/pools", "pools", doing, name=name)
        if len(found) != 1:
            count = "no" if not found else str(len(found))
            raise CloudError(
                f"there are {count} load balancer pools with the name '{name}'",
                fix="create one pool of this name",
            )
        return str(found[0]["id"])

    return cloud.ids.get(f"pool {name}", look)


def join(
    cloud: Cloud, name: str, port: Row, pools: Sequence[Mapping[str, Any]], ids: Sequence[str]
) -> None:
    """Make the VM with this port a member of the pools; a member already, it stays one."""
    fixed = port["fixed_ips"][0]
    for pool, one in zip(pools, ids, strict=True):
        member = {
            "name": name,
            "address": fixed["ip_address"],
            "subnet_id": fixed["subnet_id"],
            "protocol_port": pool["port"],
        }
        _when_free(cloud, partial(_added, cloud, one, member))


def _added(cloud: Cloud, pool: str, member: Row) -> bool:
    path, doing = at("/lbaas/pools/{}/members", pool), "join a load balancer pool"
    try:
        cloud.api.send("POST", "load-balancer", path, {"member": member}, doing)
    except ApiError as error:
        if error.http_status != 409:
            raise
        # Either it is a member already, or the load balancer is being changed by somebody else.
        there = _of(cloud, pool, member["name"])
        return any(one["protocol_port"] == member["protocol_port"] for one in there)
    return True


def leave(cloud: Cloud, name: str, ids: Sequence[str]) -> None:
    """Take the VM out of the pools."""
    for pool in ids:
        for member in _of(cloud, pool, name):
            _when_free(cloud, partial(_removed, cloud, pool, str(member["id"])))


def _removed(cloud: Cloud, pool: str, member: str) -> bool:
    path = at("/lbaas/pools/{}/members/{}", pool, member)
    try:
        cloud.api.delete("load-balancer", path, "leave a load balancer pool")
    except ApiError as error:
        if error.http_status != 409:
            raise
        return False
    return True


def _of(cloud: Cloud, pool: str, name: str) -> list[Row]:
    doing = "look up the members of a load balancer pool"
    path = at("/lbaas/pools/{}/members", pool)
    try:
        return cloud.api.pages("load-balancer", path, "members", doing, name=name)
    except ApiError as error:
        if error.http_status == 404:
            return []
        raise


def _when_free(cloud: Cloud, act: Callable[[], bool]) -> None:
    """A load balancer takes one change at a time; wait until this one is taken."""
    cloud.api.calls.until(
        "an earlier change of the load balancer",
        lambda: True if act() else None,
        timeout_s=cloud.settings.state_timeout_s,
    )

"""Server groups: the VMs of an instance group are spread over hosts where that can be.

Nova has no unique names for them and small quotas (ten groups of ten servers by default). Since
the spread is a wish and no condition, a VM is made without it where a quota is reached.
"""

from __future__ import annotations

import logging

from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.judge import ApiError

_log = logging.getLogger(__name__)
_POLICY = "soft-anti-affinity"
_OURS = "spread-"


def id_of(cloud: Cloud, group: str) -> str | None:
    """Return the id of the server group of an instance group, made if need be.

    None where a quota of the project stands against it.
    """
    name = f"{_OURS}{group}"[:255]
    key = f"server group {name}"

    def look() -> str:
        with cloud.turns.of(key):
            return cloud.ids.get(key, lambda: _find(cloud, name) or _create(cloud, name))

    try:
        return cloud.ids.get(key, look)
    except ApiError as error:
        if not error.quota:
            raise
        _log.warning("VMs of '%s' are not spread over hosts: %s", group, error.what)
        return None


def forget(cloud: Cloud, group: str) -> None:
    """Look the server group up next time: it is gone, or full."""
    cloud.ids.forget(f"server group {_OURS}{group}"[: 255 + len("server group ")])


def delete_if_empty(cloud: Cloud, group_ids: list[str]) -> None:
    """Delete those of the server groups that this CPI made and that have no member left."""
    for one in group_ids:
        found = cloud.api.look(
            "compute", "/os-server-groups/{}", one, "look at the VM's server group"
        )
        group = (found or {}).get("server_group") or {}
        name = str(group.get("name", ""))
        if group and name.startswith(_OURS) and not group.get("members"):
            cloud.ids.forget(f"server group {name}")
            cloud.api.delete(
                "compute", at("/os-server-groups/{}", one), f"delete the server group '{name}'"
            )


def _find(cloud: Cloud, name: str) -> str | None:
    # This list has no marker and no links, only an offset.
    offset, found = 0, []
    while True:
        answer = cloud.api.get(
            "compute", "/os-server-groups", "list the server groups", limit=1000, offset=offset
        )
        page: list[Row] = answer.get("server_groups") or []
        found += [g for g in page if g["name"] == name and g.get("policy") == _POLICY]
        if len(page) < 1000:
            # Of several, made by several processes at once, all choose the same.
            return min((str(group["id"]) for group in found), default=None)
        offset += len(page)


def _create(cloud: Cloud, name: str) -> str:
    body = {"server_group": {"name": name, "policy": _POLICY}}
    doing = f"create the server group '{name}'"

    def make() -> str:
        answer = cloud.api.send(
            "POST", "compute", "/os-server-groups", body, doing, repeatable=False
        )
        return str(answer["server_group"]["id"])

    return cloud.api.make(make, lambda: _find(cloud, name))

"""Flavors: by name, and the smallest that fits what a VM needs."""

from __future__ import annotations

from collections.abc import Sequence

from cpis.contract import CloudError, Json
from cpis.openstack.api import Cloud, Row

SYSTEM_GB = 5
"""What an image itself takes of a root disk, generously, in GiB."""


def named(cloud: Cloud, name: str) -> Row:
    """Return the flavor with this name or id; raises CloudError with the names there are."""
    for fresh in (False, True):
        if fresh:
            cloud.flavors.forget("all")
        there = _all(cloud)
        for flavor in there:
            if name in (flavor["name"], flavor["id"]):
                return flavor
    names = ", ".join(f"'{flavor['name']}'" for flavor in there[:20]) or "none"
    raise CloudError(f"there is no flavor '{name}'", fix=f"set 'instance_type' to one of: {names}")


def smallest(flavors: Sequence[Row], *, cpu: int, ram_mb: int, ephemeral_mb: int) -> Json:
    """Return the cloud properties of the smallest flavor that fits; raises CloudError if none.

    The ephemeral disk is the flavor's own if it has one, else the rest of its root disk. A flavor
    without root disk boots from a volume of the size that is needed.
    """
    ephemeral_gb = -(-ephemeral_mb // 1024)

    def fits(flavor: Row) -> bool:
        room = flavor.get("OS-FLV-EXT-DATA:ephemeral") or 0
        disk = flavor["disk"]
        if flavor["vcpus"] < cpu or flavor["ram"] < ram_mb:
            return False
        if flavor.get("OS-FLV-DISABLED:disabled"):
            return False
        return bool(disk == 0 or room >= ephemeral_gb > 0 or disk >= SYSTEM_GB + ephemeral_gb)

    fitting = [flavor for flavor in flavors if fits(flavor)]
    if not fitting:
        raise CloudError(
            f"no flavor has {cpu} CPUs, {ram_mb} MiB of memory and {ephemeral_mb} MiB of disk",
            fix="ask for less, or let the operator of this OpenStack add a flavor",
        )
    # Of flavors alike in CPU and memory one with a disk of its own is first: it needs no volume.
    best = min(fitting, key=lambda f: (f["ram"], f["vcpus"], f["disk"] == 0, f["disk"], f["name"]))
    found: dict[str, object] = {"instance_type": best["name"]}
    if best["disk"] == 0:
        room = best.get("OS-FLV-EXT-DATA:ephemeral") or 0
        size = SYSTEM_GB + (0 if room >= ephemeral_gb > 0 else ephemeral_gb)
        found |= {"boot_from_volume": True, "root_disk": {"size": size}}
    return found


def calculate(cloud: Cloud, requirements: Json) -> Json:
    """Return the cloud properties for ``cpu``, ``ram`` and ``ephemeral_disk_size`` (MiB)."""
    numbers = {}
    for key in ("cpu", "ram", "ephemeral_disk_size"):
        value = requirements.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise CloudError(f"a VM's '{key}' is not a number", fix="use a whole number")
        numbers[key] = value
    return smallest(
        _all(cloud),
        cpu=numbers["cpu"],
        ram_mb=numbers["ram"],
        ephemeral_mb=numbers["ephemeral_disk_size"],
    )


def _all(cloud: Cloud) -> tuple[Row, ...]:
    return cloud.flavors.get(
        "all",
        lambda: tuple(cloud.api.pages("compute", "/flavors/detail", "flavors", "list the flavors")),
    )

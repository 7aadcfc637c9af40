"""Which instance type fits a number of processors and an amount of memory.

AWS's prices differ by region and by the month, and libcloud's copy of them has gaps, so none are
used. Within the families listed here a type costs more the more processors it has, and then the
more memory; the first type in that order is the answer, and of equal ones the newest family's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cpis.contract import CloudError
from cpis.properties import check_properties, object_schema

FAMILIES = ("t3", "m7i", "c7i", "r7i", "m6i", "c6i", "r6i", "m5", "c5", "r5")
"""x86-64 families for general use: bursting ones first, then by generation, the newest first."""

REQUIREMENTS = object_schema(
    {
        "cpu": {"type": "integer", "minimum": 1, "description": "processors"},
        "ram": {"type": "integer", "minimum": 1, "description": "memory in MiB"},
        "ephemeral_disk_size": {"type": "integer", "minimum": 1, "description": "MiB"},
    },
    required=("cpu", "ram", "ephemeral_disk_size"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """An instance type; ``disk_gb`` is the storage it has itself."""

    name: str
    cpu: int
    ram_mb: int
    disk_gb: int = 0


def vm_properties(requirements: Mapping[str, Any], sizes: Iterable[Size]) -> dict[str, Any]:
    """Return the VM properties that meet BOSH's ``vm_resources``."""
    check_properties("vm_resources", REQUIREMENTS, requirements)
    size = cheapest(sizes, cpu=requirements["cpu"], ram_mb=requirements["ram"])
    disk = {"size": requirements["ephemeral_disk_size"]}
    return {"instance_type": size.name, "ephemeral_disk": disk}


def cheapest(sizes: Iterable[Size], *, cpu: int, ram_mb: int) -> Size:
    """Return the smallest type that fits; raises CloudError where none does."""
    fitting = [
        size
        for size in sizes
        if size.cpu >= cpu and size.ram_mb >= ram_mb and _family(size) in FAMILIES
    ]
    if not fitting:
        raise CloudError(
            f"no instance type has {cpu} processors and {ram_mb} MiB",
            fix="ask for less, or name an 'instance_type' of your own choice",
        )
    return min(fitting, key=lambda s: (s.cpu, s.ram_mb, FAMILIES.index(_family(s)), s.name))


def sizes_of(region: str) -> tuple[Size, ...]:
    """Return the types libcloud knows in a region; all it knows where the region is new to it."""
    # Both are large tables, and only this needs them.
    from libcloud.compute.constants.ec2_instance_types import INSTANCE_TYPES
    from libcloud.compute.constants.ec2_region_details_complete import REGION_DETAILS

    types: Mapping[str, Any] = INSTANCE_TYPES
    regions: Mapping[str, Any] = REGION_DETAILS
    names = regions.get(region, {}).get("instance_types", types)
    return tuple(
        Size(
            name=name,
            cpu=int(types[name]["extra"]["vcpu"]),
            ram_mb=int(types[name]["ram"]),
            disk_gb=int(types[name]["disk"] or 0),
        )
        for name in names
        if str(types.get(name, {}).get("extra", {}).get("vcpu", "")).isdigit()
    )


def require_own_storage(instance_type: str, sizes: Iterable[Size]) -> None:
    """Raise CloudError for a type that is known to have no storage of its own."""
    if any(size.name == instance_type and not size.disk_gb for size in sizes):
        raise CloudError(
            f"the instance type '{instance_type}' has no storage of its own",
            fix="leave 'ephemeral_disk.use_instance_storage' out, or use a type such as m6id.large",
        )


def _family(size: Size) -> str:
    return size.name.partition(".")[0]

"""Reads one instance group of a manifest: its jobs, networks and disks."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from director.manifest import addresses
from director.manifest.read_update import read_update
from director.manifest.reading import Reader, present
from director.manifest.scalars import as_text
from director.model.errors import NotSupported
from director.model.manifest import (
    InstanceGroup,
    JobUse,
    LinkOffer,
    LinkUse,
    MigratedFrom,
    NetworkUse,
    UpdatePolicy,
    VmResources,
)
from director.model.source import Path

_MANUAL = ("instances", "address", "properties")


def read_group(reader: Reader, n: int, update: UpdatePolicy | None) -> InstanceGroup | None:
    """Return the ``n``-th instance group, whose update policy lies over ``update``.

    None where the schema found errors in it, or where it has no policy; notes its own errors.
    """
    path: Path = ("instance_groups", n)
    if not reader.clean(*path):
        return None
    entry = present(reader.located.data["instance_groups"][n])
    policy = read_update(reader, entry.get("update"), (*path, "update"), update)
    jobs = _jobs(reader, entry, path)
    networks = _networks(reader, entry, path)
    reader.unique((*path, "azs"), None)
    if "persistent_disk" in entry and "persistent_disk_type" in entry:
        reader.add(
            f"{reader.name(path)} has both 'persistent_disk' and 'persistent_disk_type'",
            (*path, "persistent_disk"),
            "keep one of the two",
        )
    if policy is None:
        return None
    return InstanceGroup(
        name=entry["name"],
        path=path,
        instances=int(entry["instances"]),
        jobs=jobs,
        vm_type=entry.get("vm_type", ""),
        vm_resources=read_vm_resources(entry),
        stemcell=entry["stemcell"],
        networks=networks,
        update=policy,
        azs=tuple(entry.get("azs", ())),
        vm_extensions=tuple(entry.get("vm_extensions", ())),
        persistent_disk_mb=int(entry.get("persistent_disk", 0)),
        persistent_disk_type=entry.get("persistent_disk_type"),
        lifecycle=entry.get("lifecycle", "service"),
        env=entry.get("env", {}),
        migrated_from=_migrated_from(reader, entry, path),
        tags={key: as_text(value) for key, value in present(entry.get("tags")).items()},
        properties=entry.get("properties", {}),
    )


def read_vm_resources(entry: Mapping[str, Any]) -> VmResources | None:
    """Return the ``vm_resources`` of an entry the schema found right, if it has them."""
    if "vm_resources" not in entry:
        return None
    return VmResources(**{key: int(value) for key, value in entry["vm_resources"].items()})


def _migrated_from(
    reader: Reader, entry: Mapping[str, Any], path: Path
) -> tuple[MigratedFrom, ...]:
    azs = entry.get("azs", ())
    found = []
    for n, raw in enumerate(entry.get("migrated_from", ())):
        az = raw.get("az")
        if az is not None and az not in azs:
            reader.add(
                f"{reader.name(path)} is migrated from '{raw['name']}' in the AZ '{az}', which is "
                "none of its own",
                (*path, "migrated_from", n, "az"),
                f"add '{az}' to the azs of the instance group, or correct it",
            )
        found.append(MigratedFrom(name=raw["name"], az=az))
    return tuple(found)


# -- networks -------------------------------------------------------------------------------------


def _networks(reader: Reader, entry: Mapping[str, Any], path: Path) -> tuple[NetworkUse, ...]:
    reader.unique((*path, "networks"))
    found = []
    for n, raw in enumerate(entry["networks"]):
        use = present(raw)
        static_ips = _static_ips(reader, use, int(entry["instances"]), (*path, "networks", n))
        default = tuple(dict.fromkeys(use.get("default", ())))
        found.append(NetworkUse(name=use["name"], static_ips=static_ips, default=default))
    if len(found) > 1:
        _check_defaults(reader, found, path)
    return tuple(found)


def _check_defaults(reader: Reader, networks: list[NetworkUse], path: Path) -> None:
    for purpose in ("dns", "gateway", "addressable"):
        holders = [use.name for use in networks if purpose in use.default]
        if len(holders) > 1:
            named = " and ".join(f"'{name}'" for name in holders)
            what = f"{reader.name(path)} has several networks with 'default: [{purpose}]': {named}"
            reader.add(what, (*path, "networks"), "keep it at one of them")
        elif not holders and purpose != "addressable":
            what = f"{reader.name(path)} has several networks, none with 'default: [{purpose}]'"
            reader.add(what, (*path, "networks"), f"add 'default: [{purpose}]' to one of them")


def _static_ips(
    reader: Reader, use: Mapping[str, Any], instances: int, path: Path
) -> tuple[str, ...]:
    raw = use.get("static_ips")
    if not raw:
        return ()
    at = (*path, "static_ips")
    wrong = len(reader.errors)
    intervals = [
        reader.parse(addresses.parse_range, text, (*at, n), (0, 0)) for n, text in enumerate(raw)
    ]
    if len(reader.errors) > wrong:
        return ()
    given = addresses.count(intervals)
    if given != instances:
        reader.add(
            f"{reader.name(path[:2])} has {instances} instances and {given} static IPs on network "
            f"'{use['name']}'",
            at,
            "give exactly one address for each instance",
        )
        return ()
    if addresses.count(addresses.merge(intervals)) != given:
        what = f"{reader.name(at)} has an address twice"
        reader.add(what, at, "name each address once")
        return ()
    return tuple(
        str(IPv4Address(number)) for low, high in intervals for number in range(low, high + 1)
    )


# -- jobs and links -------------------------------------------------------------------------------


def _jobs(reader: Reader, entry: Mapping[str, Any], path: Path) -> tuple[JobUse, ...]:
    reader.unique((*path, "jobs"))
    found = []
    for n, raw in enumerate(entry["jobs"]):
        job, at = present(raw), (*path, "jobs", n)
        consumes, provides = job.get("consumes", {}), job.get("provides", {})
        found.append(
            JobUse(
                name=job["name"],
                release=job["release"],
                properties=job.get("properties"),
                consumes={
                    name: _link_use(reader, name, raw_link, (*at, "consumes", name))
                    for name, raw_link in consumes.items()
                },
                provides={
                    name: _link_offer(reader, name, raw_link, (*at, "provides", name))
                    for name, raw_link in provides.items()
                },
            )
        )
    return tuple(found)


def _link_use(reader: Reader, name: str, raw: Any, path: Path) -> LinkUse:
    if raw is None:
        reader.add(
            f"{reader.name(path)} has no value", path, "write nil to block it, or name its provider"
        )
    if raw is None or raw == "nil":
        return LinkUse(name=name, blocked=True)
    link = present(raw)
    manual = {key: link[key] for key in _MANUAL if key in link}
    mixed = [key for key in ("from", "network", "ip_addresses") if key in link]
    if manual and mixed:
        what = f"{reader.name(path)} has both '{mixed[0]}' and '{next(iter(manual))}'"
        reader.add(what, path, f"keep '{mixed[0]}', or describe the link by hand, not both")
    if "properties" in manual and "instances" not in manual:
        what = f"{reader.name(path)} has 'properties' and no 'instances'"
        reader.add(what, path, "add 'instances', a list with the address of each")
    if link.get("ip_addresses") is False:
        reader.add(
            f"{reader.name(path)} asks for DNS addresses, which are not supported",
            (*path, "ip_addresses"),
            "leave 'ip_addresses' out: addresses are IPs",
            kind=NotSupported,
        )
    return LinkUse(
        name=name,
        from_name=link.get("from", name).rpartition(".")[2] if not manual else None,
        network=link.get("network"),
        manual=manual or None,
    )


def _link_offer(reader: Reader, name: str, raw: Any, path: Path) -> LinkOffer:
    if raw is None:
        reader.add(f"{reader.name(path)} has no value", path, "write nil to hide it")
    if raw is None or raw == "nil":
        return LinkOffer(name=name, hidden=True)
    offer = present(raw)
    return LinkOffer(name=name, alias=offer.get("as"), shared=offer.get("shared", False))

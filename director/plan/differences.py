"""Naming what differs: the keys, never a value that could be a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from director.model.instances import JobDigests, NetworkSpec, PackageRef
from director.model.manifest import Json

SHOWN = 40
"""The longest value shown in full."""

_TELLING = ("password", "passwd", "secret", "token", "credential", "private", "access_key")


def quote(name: object) -> str:
    """Return a name in quotes, on one line whatever is in it."""
    return "'" + "".join(c if c.isprintable() else "?" for c in str(name)) + "'"


def mapping_details(kind: str, old: Json, new: Json, *, values: bool) -> Iterator[str]:
    """Yield a line for each key that differs: ``cloud property 'memory' 512 → 1024``.

    Without ``values`` only keys are named.
    """
    for key, before, after in _differing(old, new, ""):
        if before is _ABSENT:
            yield f"{kind} {quote(key)} added"
        elif after is _ABSENT:
            yield f"{kind} {quote(key)} removed"
        elif values and _may_show(key, before) and _may_show(key, after):
            yield f"{kind} {quote(key)} {_show(before)} → {_show(after)}"
        else:
            yield f"{kind} {quote(key)}"


_ABSENT = object()


def _differing(old: Json, new: Json, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    before, after = _named(old), _named(new)
    for key in sorted({*before, *after}):
        a, b = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differing(a, b, f"{prefix}{key}.")
        elif _plain(a) != _plain(b):
            yield f"{prefix}{key}", a, b


def _named(mapping: Json) -> dict[str, Any]:
    # Keys of any type become text when a spec is stored: they are compared as such.
    return {str(key): value for key, value in mapping.items()}


def _plain(value: Any) -> Any:
    """Return what storing and reading again makes of a value."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _may_show(key: str, value: Any) -> bool:
    if any(word in key.lower() for word in _TELLING):
        return False
    if isinstance(value, str):
        return len(value) <= SHOWN and value.isprintable() and "((" not in value
    return value is None or isinstance(value, bool | int | float)


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(value) if isinstance(value, str) else str(value)


def network_details(old: tuple[NetworkSpec, ...], new: tuple[NetworkSpec, ...]) -> Iterator[str]:
    """Yield what differs between two sets of networks.

    The address of a dynamic network is the cloud's choice, so it is no difference.
    """
    before, after = {n.name: n for n in old}, {n.name: n for n in new}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"network {quote(name)} removed"
        elif name not in before:
            yield f"network {quote(name)} added"
        else:
            yield from _one_network(before[name], after[name])


def _one_network(a: NetworkSpec, b: NetworkSpec) -> Iterator[str]:
    of = f"network {quote(a.name)}"
    if a.type != b.type:
        yield f"{of} type {a.type} → {b.type}"
        return
    if a.type != "dynamic" and a.ip != b.ip:
        yield f"{of} address {a.ip} → {b.ip}"
    for field in ("netmask", "gateway"):
        if getattr(a, field) != getattr(b, field):
            yield f"{of} {field} {getattr(a, field)} → {getattr(b, field)}"
    if a.dns != b.dns:
        yield f"{of} dns"
    if set(a.default) != set(b.default):
        yield f"{of} default"
    yield from mapping_details(
        f"{of} cloud property", a.cloud_properties, b.cloud_properties, values=True
    )


def digest_details(
    kind: str, job: str, old: Mapping[str, str], new: Mapping[str, str]
) -> list[str]:
    """Return the names whose digests differ: ``property 'redis.port' of job 'redis'``."""
    return [
        f"{kind} {quote(name)} of job {quote(job)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def job_details(old: tuple[JobDigests, ...], new: tuple[JobDigests, ...]) -> Iterator[str]:
    """Yield which jobs came, went, or are other versions of themselves."""
    before, after = {j.name: j for j in old}, {j.name: j for j in new}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"job {quote(name)} removed"
        elif name not in before:
            yield f"job {quote(name)} added"
        elif before[name].fingerprint != after[name].fingerprint:
            yield f"job {quote(name)} fingerprint"


def package_details(old: tuple[PackageRef, ...], new: tuple[PackageRef, ...]) -> Iterator[str]:
    """Yield which packages came, went, or are others."""
    before, after = {p.name: p for p in old}, {p.name: p for p in new}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"package {quote(name)} removed"
        elif name not in before:
            yield f"package {quote(name)} added"
        elif before[name].fingerprint != after[name].fingerprint:
            yield f"package {quote(name)} fingerprint"
        elif before[name].dependency_key != after[name].dependency_key:
            yield f"package {quote(name)} dependencies"

"""What operators may write for the local CPI: its own, a VM's and a network's properties."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from cpis.contract import CloudError

RUNTIMES = ("auto", "lxc", "unshare")
DEFAULT_DYNAMIC_RANGE = IPv4Network("10.250.0.0/24")
# The root becomes part of mount options and of LXC's configuration, where these are safe.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9/._@+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The CPI's own properties, checked."""

    root: Path
    director_id: str
    runtime: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmProperties:
    """A VM's cloud properties, checked. None means no limit."""

    memory_mb: int | None = None
    cpu: float | None = None
    ephemeral_disk_mb: int | None = None


def read_settings(properties: Mapping[str, Any]) -> Settings:
    """Return the CPI's properties; raises CloudError naming what is missing, wrong or unknown."""
    refuse_unknown("local CPI", properties, ("root", "director_id", "runtime"))
    for key in ("root", "director_id"):
        if not isinstance(properties.get(key), str) or not properties[key]:
            raise CloudError(
                f"the local CPI's property '{key}' is missing or no text",
                fix=f"set '{key}' in the CPI's properties",
            )
    runtime = properties.get("runtime", "auto")
    if runtime not in RUNTIMES:
        raise CloudError(
            f"the local CPI has no runtime '{runtime}'", fix=f"use one of {', '.join(RUNTIMES)}"
        )
    root = Path(properties["root"]).absolute()
    if not _SAFE_PATH.fullmatch(str(root)):
        raise CloudError(
            f"the local CPI cannot keep its state in '{root}'",
            fix="use a directory whose path has only letters, digits and any of / . _ @ + -",
        )
    return Settings(root=root, director_id=properties["director_id"], runtime=runtime)


def read_vm_properties(properties: Mapping[str, Any]) -> VmProperties:
    """Return a VM's cloud properties; raises CloudError for an unknown key or a wrong value."""
    refuse_unknown("VM", properties, ("cpu", "ephemeral_disk", "memory"))
    cpu = properties.get("cpu")
    if cpu is not None and (isinstance(cpu, bool) or not isinstance(cpu, int | float) or cpu <= 0):
        raise CloudError(
            f"cloud property 'cpu' is '{cpu}'", fix="use a number of processors above 0, like 0.5"
        )
    return VmProperties(
        memory_mb=_mebibytes(properties, "memory"),
        cpu=None if cpu is None else float(cpu),
        ephemeral_disk_mb=_mebibytes(properties, "ephemeral_disk"),
    )


def read_dynamic_range(network: str, cloud_properties: Mapping[str, Any]) -> IPv4Network:
    """Return the range a dynamic network takes its addresses from."""
    refuse_unknown(f"network '{network}'", cloud_properties, ("range",))
    text = cloud_properties.get("range", str(DEFAULT_DYNAMIC_RANGE))
    try:
        found = IPv4Network(text)
    except ValueError as error:
        raise CloudError(
            f"network '{network}' has the cloud property range '{text}': {error}",
            fix="use an IPv4 network such as 10.250.0.0/24",
        ) from error
    if found.prefixlen > 29:
        raise CloudError(f"network '{network}' has range '{text}', too small", fix="use a /29")
    return found


def refuse_unknown(owner: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    """Raise CloudError for the first key of ``given`` that is not ``known``."""
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            names = ", ".join(f"'{name}'" for name in known) or "none"
            raise CloudError(
                f"{owner} has an unknown cloud property '{key}'", fix=f"{hint}known: {names}"
            )


def _mebibytes(properties: Mapping[str, Any], key: str) -> int | None:
    value = properties.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise CloudError(f"cloud property '{key}' is '{value}'", fix="use a number of MiB above 0")
    return value

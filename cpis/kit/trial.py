"""What a trial of a CPI needs, read from a file that its operator writes.

``properties`` are the CPI's own; ``test`` says what the checks may use: a stemcell, networks with
addresses that are free, cloud properties, sizes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from cpis.conformance.lab import LARGEST_FLEET, Given
from cpis.contract import CloudError, Cpi, Networks
from cpis.kit.login import Login
from cpis.properties import check_properties, object_schema
from cpis.registry import load_cpi

_FEWEST_VMS = 2
_BOOT_TIMEOUT_S = 600
_DISK_MB = 1024
_COUNT = {"type": "integer", "minimum": 1}
_ANY = {"type": "object"}

NETWORK_SCHEMA = object_schema(
    {
        "type": {"enum": ["manual", "dynamic"], "description": "kind of network"},
        "range": {"type": "string", "description": "the subnet, such as 10.0.0.0/24"},
        "gateway": {"type": "string", "description": "address of the gateway"},
        "addresses": {
            "type": "array",
            "items": {"type": "string"},
            "description": "free addresses: single ones, or 10.0.0.20-10.0.0.25",
        },
        "dns": {"type": "array", "items": {"type": "string"}, "description": "name servers"},
        "cloud_properties": {**_ANY, "description": "the network's cloud properties"},
    }
)
STEMCELL_SCHEMA = object_schema(
    {
        "image": {"type": "string", "description": "path of the image to upload"},
        "light": {"type": "boolean", "description": "the image is in the cloud already"},
        "cloud_properties": {**_ANY, "description": "the image's cloud properties"},
    }
)
TEST_SCHEMA = object_schema(
    {
        "stemcell": {**STEMCELL_SCHEMA, "description": "the image of the VMs"},
        "networks": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": NETWORK_SCHEMA,
            "description": "the networks of each VM, by name",
        },
        "dynamic": {**_ANY, "description": "cloud properties of a dynamic network, if there is"},
        "vm": {**_ANY, "description": "cloud properties of the VMs"},
        "disk": {**_ANY, "description": "cloud properties of the disks"},
        "disk_mb": {**_COUNT, "description": f"size of a disk in MiB (default {_DISK_MB})"},
        "vms": {
            "type": "integer",
            "minimum": _FEWEST_VMS,
            "maximum": LARGEST_FLEET,
            "description": f"how many VMs there may be at once (default {LARGEST_FLEET})",
        },
        "requirements": object_schema(
            dict.fromkeys(("cpu", "ram", "ephemeral_disk_size"), _COUNT),
            required=("cpu", "ram", "ephemeral_disk_size"),
        ),
        "snapshots_outlive_disks": {
            "type": "boolean",
            "description": "a disk can be deleted before its snapshots (default true)",
        },
        "boot_timeout": {**_COUNT, "description": f"in seconds (default {_BOOT_TIMEOUT_S})"},
    },
    required=("networks", "stemcell"),
)
"""The section ``test`` of the file."""

FILE_SCHEMA = object_schema({"properties": _ANY, "test": TEST_SCHEMA}, required=("test",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A CPI and what to try it with."""

    cpi: Cpi
    given: Given


def read_trial(
    name: str, data: Mapping[str, Any], *, beside: Path, run_id: str, real: bool
) -> Trial:
    """Return the CPI ``name`` with the checks' givens from a file's content.

    Paths in it are taken from the directory ``beside``. ``real`` lets checks log into VMs. Raises
    CloudError naming what is wrong.
    """
    check_properties("the file", FILE_SCHEMA, data)
    properties, test = data.get("properties") or {}, data["test"]
    networks, most = _networks(test["networks"])
    vms = min(test.get("vms", LARGEST_FLEET), most)
    timeout_s = float(test.get("boot_timeout", _BOOT_TIMEOUT_S))
    login = Login(boot_timeout_s=timeout_s)
    more = {"requirements": test["requirements"]} if "requirements" in test else {}
    stemcell = test["stemcell"]
    given = Given(
        image_path=_image(stemcell, beside),
        stemcell_properties=stemcell.get("cloud_properties", {}),
        light=stemcell.get("light", False),
        networks=networks,
        dynamic=_dynamic(test),
        env=login.env,
        cloud_properties=test.get("vm", {}),
        disk_cloud_properties=test.get("disk", {}),
        disk_mb=test.get("disk_mb", _DISK_MB),
        snapshots_outlive_disks=test.get("snapshots_outlive_disks", True),
        again=lambda: load_cpi(name, properties),
        run=login.run if real else None,
        vms=vms,
        run_id=run_id,
        boot_timeout_s=timeout_s,
        **more,
    )
    return Trial(cpi=load_cpi(name, properties), given=given)


def _image(stemcell: Mapping[str, Any], beside: Path) -> str:
    if "image" not in stemcell:
        return os.devnull
    path = (beside / stemcell["image"]).expanduser()
    if not path.is_file():
        raise CloudError(f"there is no image '{path}'", fix="correct 'image' of 'stemcell'")
    return str(path)


def _dynamic(test: Mapping[str, Any]) -> Networks | None:
    if "dynamic" not in test:
        return None
    defaults = ["dns", "gateway"]
    return {
        "default": {
            "type": "dynamic",
            "default": defaults,
            "dns": [],
            "cloud_properties": test["dynamic"],
        }
    }


def _networks(
    given: Mapping[str, Mapping[str, Any]],
) -> tuple[Callable[[int], Networks], int]:
    """Return the networks of the nth VM, and for how many VMs there are addresses."""
    shapes: dict[str, dict[str, Any]] = {}
    addresses: dict[str, list[str]] = {}
    for name, network in given.items():
        first = ["dns", "gateway"] if not shapes else []
        shapes[name] = {
            "type": network.get("type", "manual"),
            "dns": network.get("dns", []),
            "default": first,
            "cloud_properties": network.get("cloud_properties", {}),
        }
        if shapes[name]["type"] == "manual":
            shapes[name].update(_subnet(name, network))
            addresses[name] = _addresses(name, network)

    def networks(n: int) -> Networks:
        return {
            name: {**shape, **({"ip": addresses[name][n]} if name in addresses else {})}
            for name, shape in shapes.items()
        }

    return networks, min(map(len, addresses.values()), default=LARGEST_FLEET)


def _subnet(name: str, network: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        subnet = IPv4Network(network.get("range", ""))
    except ValueError as error:
        raise CloudError(
            f"network '{name}' has no usable 'range': {error}",
            fix="give the subnet its VMs are in, such as 10.0.0.0/24",
        ) from error
    gateway = {"gateway": network["gateway"]} if network.get("gateway") else {}
    return {"netmask": str(subnet.netmask), **gateway}


def _addresses(name: str, network: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for text in network.get("addresses", ()):
        first, dash, last = (part.strip() for part in text.partition("-"))
        try:
            low = IPv4Address(first)
            high = IPv4Address(last) if dash else low
        except ValueError as error:
            raise CloudError(
                f"network '{name}' has the address '{text}': {error}",
                fix="write 10.0.0.20, or 10.0.0.20-10.0.0.25",
            ) from error
        reach = min(int(high), int(low) + LARGEST_FLEET)
        found += [str(IPv4Address(number)) for number in range(int(low), reach + 1)]
    if len(found) < _FEWEST_VMS:
        raise CloudError(
            f"network '{name}' has {len(found)} 'addresses', too few for the checks",
            fix=f"give at least {_FEWEST_VMS} that are free, better {LARGEST_FLEET}",
        )
    return found

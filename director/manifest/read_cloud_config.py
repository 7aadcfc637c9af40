"""Reads cloud configs: from one or more texts to a CloudConfig that is valid in itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from director.manifest.located_yaml import Located
from director.manifest.problems import raise_sorted
from director.manifest.read_group import read_vm_resources
from director.manifest.read_networks import read_network
from director.manifest.reading import Reader, present
from director.manifest.several_texts import (
    Texts,
    check_beside,
    check_references,
    load_texts,
    together,
)
from director.manifest.suggest import did_you_mean, quoted
from director.manifest.uses import first_uses
from director.model.configs import (
    Az,
    CloudConfig,
    Compilation,
    DiskType,
    Network,
    VmExtension,
    VmType,
)
from director.model.errors import CloudConfigError, DirectorError
from director.model.source import Path

_LISTS = ("azs", "vm_types", "vm_extensions", "disk_types", "networks")

Named = TypeVar("Named", Az, VmType, VmExtension, DiskType, Network)


def read_cloud_config(texts: Texts) -> CloudConfig:
    """Return the cloud config that ``texts``, pairs of file name and text, describe together.

    Lists are put together; a name may come once, and so may ``compilation``. No text gives an empty
    config. Raises YamlError, CloudConfigError or NotSupported, or an ErrorList of all there are.
    """
    parts, errors = load_texts(texts, "cloud config")
    errors.extend(_second_compilations(parts))
    raise_sorted(errors)
    return _read(Reader(together(parts, "cloud-config"), "cloud-config", CloudConfigError))


def check_cloud_config(file: str, text: str, others: Texts) -> None:
    """Raise everything that is wrong with a cloud config that shall stand beside ``others``, see
    :func:`check_beside`."""
    check_beside(read_cloud_config, file, text, others)


def _second_compilations(parts: Sequence[Located]) -> list[DirectorError]:
    holders = [part for part in parts if part.data.get("compilation") is not None]
    return [
        CloudConfigError(
            f"'compilation' is in '{holders[0].file}' already",
            where=part.keys.get(("compilation",)),
            fix="keep one of the two",
        )
        for part in holders[1:]
    ]


def _read(reader: Reader) -> CloudConfig:
    for kind in _LISTS:
        reader.unique((kind,))
    check_references(reader, "cloud config")
    azs = [_az(entry) for _, entry in _clean(reader, "azs")]
    known_azs = [raw.get("name") for raw in reader.items(("azs",)) if isinstance(raw, dict)]
    networks = [
        read_network(reader, n, [str(az) for az in known_azs])
        for n, _ in _clean(reader, "networks")
    ]
    config = CloudConfig(
        azs=_by_name(azs),
        vm_types=_by_name([VmType(**_properties(e)) for _, e in _clean(reader, "vm_types")]),
        vm_extensions=_by_name(
            [VmExtension(**_properties(e)) for _, e in _clean(reader, "vm_extensions")]
        ),
        disk_types=_by_name([_disk_type(e) for _, e in _clean(reader, "disk_types")]),
        networks=_by_name(networks),
        sources=reader.located.sources,
        uses=first_uses(reader.located),
    )
    compilation = _compilation(reader, config)
    reader.finish()
    return replace(config, compilation=compilation)


def _clean(reader: Reader, kind: str) -> list[tuple[int, dict[str, Any]]]:
    entries = enumerate(reader.items((kind,)))
    return [(n, present(entry)) for n, entry in entries if reader.clean(kind, n)]


def _by_name(items: Sequence[Named]) -> Mapping[str, Named]:
    return {item.name: item for item in items}


def _properties(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": entry["name"], "cloud_properties": entry.get("cloud_properties", {})}


def _az(entry: Mapping[str, Any]) -> Az:
    return Az(cpi=entry.get("cpi"), **_properties(entry))


def _disk_type(entry: Mapping[str, Any]) -> DiskType:
    return DiskType(disk_size_mb=int(entry["disk_size"]), **_properties(entry))


# -- compilation ----------------------------------------------------------------------------------


def _compilation(reader: Reader, config: CloudConfig) -> Compilation | None:
    raw = reader.located.data.get("compilation")
    if raw is None or not reader.clean("compilation"):
        return None
    entry = present(raw)
    _check_names(reader, entry)
    _check_network(reader, entry, config)
    kinds = [key for key in ("vm_type", "vm_resources", "cloud_properties") if key in entry]
    if len(kinds) > 1:
        what = f"'compilation' has both '{kinds[0]}' and '{kinds[1]}'"
        reader.add(what, ("compilation", kinds[1]), "keep one of the two")
    if "vm_extensions" in entry and not {"vm_type", "vm_resources"} & entry.keys():
        what = "'compilation' has 'vm_extensions' and no 'vm_type'"
        reader.add(what, ("compilation", "vm_extensions"), "add 'vm_type'")
    return Compilation(
        workers=int(entry["workers"]),
        network=entry["network"],
        az=entry.get("az"),
        vm_type=entry.get("vm_type"),
        vm_resources=read_vm_resources(entry),
        cloud_properties=entry.get("cloud_properties", {}),
        vm_extensions=tuple(entry.get("vm_extensions", ())),
        reuse_compilation_vms=entry.get("reuse_compilation_vms", False),
        env=entry.get("env", {}),
    )


def _check_names(reader: Reader, entry: Mapping[str, Any]) -> None:
    wanted: list[tuple[Path, str, str]] = [
        (("compilation", key), str(entry[key]), kind)
        for key, kind in (("network", "networks"), ("az", "azs"), ("vm_type", "vm_types"))
        if key in entry
    ]
    for n, name in enumerate(entry.get("vm_extensions", ())):
        wanted.append((("compilation", "vm_extensions", n), name, "vm_extensions"))
    for path, name, kind in wanted:
        raw = reader.items((kind,))
        known = [str(item["name"]) for item in raw if isinstance(item, dict) and "name" in item]
        if name not in known:
            key = kind.removesuffix("s")
            what = f"'compilation' uses unknown {key} '{name}'"
            reader.add(what, path, did_you_mean(name, known, f"add it to '{kind}'"))


def _check_network(reader: Reader, entry: Mapping[str, Any], config: CloudConfig) -> None:
    network = config.networks.get(entry["network"])
    if network is None:
        return
    if network.type == "vip":
        what = f"'compilation' uses the vip network '{network.name}'"
        reader.add(what, ("compilation", "network"), "name a manual or dynamic network")
        return
    azs = list(network.azs)
    az = entry.get("az")
    if az is None and azs:
        what = f"'compilation' names no AZ, and network '{network.name}' has subnets in AZs"
        reader.add(what, ("compilation",), f"add 'az', one of {quoted(azs)}")
    elif az is not None and az in config.azs and az not in azs:
        what = f"network '{network.name}' of 'compilation' has no subnet in the AZ '{az}'"
        fix = f"use one of {quoted(azs)}" if azs else f"add 'az: {az}' to a subnet"
        reader.add(what, ("compilation", "az"), fix)

"""Reads CPI configs: from one or more texts to a CpiConfig that is valid in itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from director.manifest.problems import raise_sorted
from director.manifest.reading import Reader, present
from director.manifest.several_texts import (
    Texts,
    check_beside,
    check_references,
    load_texts,
    together,
)
from director.manifest.suggest import did_you_mean
from director.manifest.uses import first_uses
from director.model.configs import CpiConfig, CpiEntry
from director.model.errors import CpiConfigError


def read_cpi_config(texts: Texts, *, types: Collection[str] | None = None) -> CpiConfig:
    """Return the CPI config that ``texts``, pairs of file name and text, describe together.

    No text gives an empty config. ``types`` are the installed CPIs, where they are to be looked
    up. Raises YamlError or CpiConfigError, or an ErrorList of all there are.
    """
    if not texts:
        return CpiConfig()
    parts, errors = load_texts(texts, "CPI config")
    raise_sorted(errors)
    reader = Reader(together(parts, "cpi-config"), "cpi-config", CpiConfigError)
    reader.unique(("cpis",))
    check_references(reader, "CPI config")
    _check_former_names(reader)
    entries = [
        _entry(reader, n, present(entry), types)
        for n, entry in enumerate(reader.items(("cpis",)))
        if reader.clean("cpis", n)
    ]
    reader.finish()
    return CpiConfig(
        entries={entry.name: entry for entry in entries}, uses=first_uses(reader.located)
    )


def check_cpi_config(file: str, text: str, others: Texts, *, types: Collection[str]) -> None:
    """Raise everything that is wrong with a CPI config that shall stand beside ``others``, see
    :func:`check_beside`."""
    check_beside(partial(read_cpi_config, types=types), file, text, others)


def _entry(
    reader: Reader, n: int, entry: Mapping[str, Any], types: Collection[str] | None
) -> CpiEntry:
    kind, executable = str(entry["type"]), entry.get("exec_path")
    if types is not None and executable is None and ":" not in kind and kind not in types:
        what = f"CPI '{entry['name']}' is of the unknown type '{kind}'"
        fix = did_you_mean(kind, types, "give the path of a BOSH CPI executable as 'exec_path'")
        reader.add(what, ("cpis", n, "type"), fix)
    return CpiEntry(
        name=entry["name"],
        type=kind,
        exec_path=executable,
        properties=entry.get("properties", {}),
        migrated_from=tuple(former["name"] for former in entry.get("migrated_from", ())),
    )


def _check_former_names(reader: Reader) -> None:
    """Note names that two CPIs had before: then nobody knows whose the VMs are."""
    owners: dict[str, str] = {}
    for n, entry in enumerate(reader.items(("cpis",))):
        if not reader.clean("cpis", n):
            continue
        name = str(entry["name"])
        for m, former in enumerate(entry.get("migrated_from") or ()):
            old, path = str(former["name"]), ("cpis", n, "migrated_from", m, "name")
            if old == name:
                what = f"CPI '{name}' is migrated from itself"
                reader.add(what, path, "name the CPI's former name, or leave it out")
            elif owners.setdefault(old, name) != name:
                what = f"CPI '{name}' is migrated from '{old}', and so is CPI '{owners[old]}'"
                reader.add(what, path, "keep the entry at the one that has the VMs")

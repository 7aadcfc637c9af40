"""Reads ``variables``: which credentials the director makes, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from director.manifest.reading import Reader, present
from director.manifest.suggest import did_you_mean
from director.model.manifest import VARIABLE_OPTIONS, Variable
from director.model.source import Path


def read_variables(reader: Reader) -> tuple[Variable, ...]:
    """Return the variables in the order of the manifest; notes what is wrong."""
    reader.unique(("variables",))
    found = []
    for n, raw in enumerate(reader.items(("variables",))):
        if not reader.clean("variables", n):
            continue
        entry = present(raw)
        options = present(entry.get("options"))
        _check_options(reader, entry["type"], options, ("variables", n))
        found.append(
            Variable(
                name=entry["name"],
                type=entry["type"],
                options=options,
                update_mode=entry.get("update_mode", "no-overwrite"),
            )
        )
    return tuple(found)


def _check_options(reader: Reader, kind: str, options: Mapping[str, Any], path: Path) -> None:
    known = VARIABLE_OPTIONS[kind]
    for key, value in options.items():
        at = (*path, "options", key)
        if key not in known:
            what = f"{reader.name(path)}: a {kind} has no option '{key}'"
            reader.add(what, at, did_you_mean(key, known))
        elif not _fits(value, known[key]):
            reader.add(f"{reader.name(at)} must be {known[key]}", at, f"write {known[key]}")
    if kind == "certificate":
        _check_certificate(reader, options, path)


def _check_certificate(reader: Reader, options: Mapping[str, Any], path: Path) -> None:
    if "common_name" not in options and "alternative_names" not in options:
        what = f"{reader.name(path)} has neither 'common_name' nor 'alternative_names'"
        reader.add(what, path, "add 'common_name' to its options")
    if options.get("ca") == reader.located.data["variables"][path[1]]["name"]:
        what = f"{reader.name(path)} names itself as its CA"
        reader.add(what, (*path, "options", "ca"), "name another variable, or leave the key out")


def _fits(value: Any, wanted: str) -> bool:
    if isinstance(value, str) and value.startswith("((") and value.endswith("))"):
        return True  # a reference, filled in before the credential is made
    if wanted == "a list of texts":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if wanted == "a whole number":
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, str if wanted == "text" else bool)

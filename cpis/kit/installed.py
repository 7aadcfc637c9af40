"""The CPIs that are installed: where each comes from, what it says of itself, what it may be told.

A CPI tells its properties in a module ``properties`` (or ``schemas``) of its package: ``TABLES``
maps the heading of each table in its README to the schema.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

from cpis.contract import CloudError
from cpis.registry import GROUP, known_cpis

_MODULES = ("properties", "schemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledCpi:
    """A CPI; ``problem`` says why it does not import, and is empty where it does."""

    name: str
    source: str
    about: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property an operator may set; ``name`` has dots where it is inside another."""

    name: str
    type: str
    required: bool
    description: str


def installed_cpis() -> tuple[InstalledCpi, ...]:
    """Return the installed CPIs by name; importing each, for the first line of its class."""
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    return tuple(_looked_at(entries[name]) for name in sorted(entries))


def properties_of(name: str) -> Mapping[str, tuple[Property, ...]]:
    """Return a CPI's properties by the heading of their table.

    Empty where the CPI does not tell. Raises CloudError where it is not there or does not import.
    """
    tables = _tables_of(_entry(name))
    return {heading: tuple(_properties(schema)) for heading, schema in tables.items()}


def readme_of(name: str) -> str:
    """Return the README in a CPI's package; empty where there is none."""
    try:
        return (files(_entry(name).module) / "README.md").read_text(encoding="utf-8")
    except (OSError, TypeError, ImportError):
        return ""


def _entry(name: str) -> EntryPoint:
    for entry in entry_points(group=GROUP, name=name):
        return entry
    raise CloudError(f"there is no CPI '{name}'", fix=f"installed: {', '.join(known_cpis())}")


def _looked_at(entry: EntryPoint) -> InstalledCpi:
    source = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module
    try:
        text = inspect.getdoc(entry.load()) or ""
    except (ImportError, AttributeError) as error:
        return InstalledCpi(name=entry.name, source=source, problem=f"does not import: {error}")
    lines = text.split("\n\n")[0].split()
    return InstalledCpi(name=entry.name, source=source, about=_first_sentence(" ".join(lines)))


def _first_sentence(text: str) -> str:
    sentence, _, _ = text.partition(";")
    sentence, _, _ = sentence.partition(". ")
    return sentence.rstrip(".")


def _tables_of(entry: EntryPoint) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas the CPI tells; nothing where it tells none."""
    for part in _MODULES:
        name = f"{entry.module}.{part}"
        try:
            tables = getattr(importlib.import_module(name), "TABLES", None)
        except ModuleNotFoundError as error:
            if error.name == name:
                continue
            raise CloudError(
                f"the CPI '{entry.name}' does not import: {error}", fix=f"install '{error.name}'"
            ) from error
        if isinstance(tables, Mapping):
            return tables
    return {}


def _properties(schema: Mapping[str, Any], prefix: str = "") -> Iterator[Property]:
    required = schema.get("required", ())
    for key, about in schema.get("properties", {}).items():
        yield Property(
            name=f"{prefix}{key}",
            type=_type(about),
            required=key in required,
            description=str(about.get("description", "")),
        )
        inner = about.get("items", {}) if about.get("type") == "array" else about
        if isinstance(inner, Mapping) and inner.get("properties"):
            mark = "[]" if about.get("type") == "array" else ""
            yield from _properties(inner, f"{prefix}{key}{mark}.")


def _type(about: Mapping[str, Any]) -> str:
    if "enum" in about:
        return " or ".join(f"'{value}'" for value in about["enum"])
    given = about.get("type")
    if given is None:
        several = about.get("oneOf") or about.get("anyOf") or ()
        return " or ".join(dict.fromkeys(_type(one) for one in several)) or "any"
    if given == "array":
        return f"list of {_type(about.get('items', {}))}"
    return given if isinstance(given, str) else " or ".join(given)

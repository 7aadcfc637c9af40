"""Checks a document's keys and types: every error at once, each with its place and advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from director.manifest.located_yaml import Located
from director.manifest.nodes import ScalarNode, node_at
from director.manifest.problems import describe
from director.manifest.schema import Fault, faults, is_required, load_schema
from director.manifest.suggest import did_you_mean
from director.model.errors import DirectorError, NotSupported
from director.model.placeholders import find_placeholders
from director.model.source import Path

MOST_ERRORS = 200
FREE = frozenset({"properties", "env", "cloud_properties", "options"})
"""Keys below which placeholders stay until templates are rendered and a CPI is called."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error and the path of the value that has it."""

    path: Path
    error: DirectorError


def check(located: Located, schema: str, kind: type[DirectorError]) -> list[Problem]:
    """Return everything wrong with the document's keys and types; ``kind`` is the error to make.

    ``schema`` is the name of a file in ``schemas/``. After MOST_ERRORS it looks no further, and
    what has no error may be wrong too. References to variables that must be known by
    now (outside properties, env, options and cloud properties) are problems too.
    """
    context = _Context(located, schema, kind)
    every = (
        problem
        for fault in faults(schema, located.data)
        for problem in _MAKERS.get(fault.keyword, _wrong_value)(fault, context)
    )
    found = list(islice(every, MOST_ERRORS))
    unsupported = [p.path for p in found if isinstance(p.error, NotSupported)]
    for problem in islice(_unfilled(context, located.data, ()), MOST_ERRORS):
        if not any(problem.path[: len(path)] == path for path in unsupported):
            found.append(problem)
    return found


@dataclass(frozen=True, slots=True)
class _Context:
    located: Located
    schema: str
    kind: type[DirectorError]

    def name(self, path: Path) -> str:
        return describe(self.located.data, path, str(load_schema(self.schema)["title"]))


def _unknown_keys(fault: Fault, context: _Context) -> Iterator[Problem]:
    known = fault.schema.get("properties", {})
    usable = [key for key, schema in known.items() if "notSupported" not in schema]
    for key in fault.value:
        if key not in known and not find_placeholders(key):
            where = context.located.keys.get((*fault.path, key))
            what = f"{context.name(fault.path)} has an unknown key '{key}'"
            fix = did_you_mean(key, usable)
            yield Problem(fault.path, context.kind(what, where=where, fix=fix))


def _missing_key(fault: Fault, context: _Context) -> Iterator[Problem]:
    # jsonschema reports each missing key on its own and names it only in its message.
    key = next(k for k in fault.demand if fault.message.startswith(repr(k)))
    what = f"{context.name(fault.path)} has no '{key}'"
    where = context.located.where(fault.path)
    yield Problem(fault.path, context.kind(what, where=where, fix=_add(fault, key)))


def _add(fault: Fault, key: str) -> str:
    help_text = fault.schema["properties"][key].get("description", "").rstrip(".")
    return f"add '{key}': {help_text[:1].lower()}{help_text[1:]}"


def _not_one(fault: Fault, context: _Context) -> Iterator[Problem]:
    first, *others = fault.demand
    given = [key for key in fault.demand if fault.value.get(key) is not None]
    name = context.name(fault.path)
    if given:
        what = f"{name} has both '{given[0]}' and '{given[1]}'"
        where, fix = context.located.keys.get((*fault.path, given[1])), "keep one of the two"
    else:
        what, where = f"{name} has no '{first}'", context.located.where(fault.path)
        fix = f"{_add(fault, first)}; or " + " or ".join(f"'{key}'" for key in others)
    yield Problem(fault.path, context.kind(what, where=where, fix=fix))


def _unsupported(fault: Fault, context: _Context) -> Iterator[Problem]:
    where = context.located.keys.get(fault.path) or context.located.where(fault.path)
    what = f"{context.name(fault.path)} is not supported"
    yield Problem(fault.path, NotSupported(what, where=where, fix=fault.demand))


def _unsupported_value(fault: Fault, context: _Context) -> Iterator[Problem]:
    what = f"{context.name(fault.path)} is '{fault.value}', which is not supported"
    where = context.located.where(fault.path)
    yield Problem(fault.path, NotSupported(what, where=where, fix=fault.demand[fault.value]))


def _wrong_value(fault: Fault, context: _Context) -> Iterator[Problem]:
    value, name = fault.value, context.name(fault.path)
    if value is None and not is_required(context.schema, fault.path):
        return  # a key without a value is a key left out, in BOSH's manifests
    if isinstance(value, str) and find_placeholders(value):
        return  # told by _unfilled
    if fault.keyword == "minItems":
        what, fix = f"{name} is an empty list", "add an item, or leave the key out"
    elif value is None:
        what, fix = f"{name} has no value", f"write {fault.must}"
    else:
        what, fix = f"{name} cannot be {_shown(value)}", _fix_value(fault, context)
    where = context.located.where(fault.path)
    yield Problem(fault.path, context.kind(what, where=where, fix=fix))


_MAKERS: Mapping[str, Callable[[Fault, _Context], Iterator[Problem]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "exactlyOne": _not_one,
    "notSupported": _unsupported,
    "notSupportedValues": _unsupported_value,
}


def _fix_value(fault: Fault, context: _Context) -> str:
    value = fault.value
    wanted = fault.schema.get("type", "string")
    if fault.keyword == "type" and isinstance(value, bool | int | float) and "string" in wanted:
        node = node_at(context.located.root, fault.path)
        written = node.text if isinstance(node, ScalarNode) else str(value)
        return f"put it in quotes if it is meant as text: '{written}'"
    if fault.keyword == "enum" and isinstance(value, str):
        return did_you_mean(value, [str(allowed) for allowed in fault.demand])
    if "array" in wanted and isinstance(value, str):
        return f"write it as a list: [{value}]" if len(value) < 40 else "write it as a list"
    return f"write {fault.must}"


def _shown(value: Any) -> str:
    """Return what a value is; only short single values are shown, in case it is a secret."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"'{value}'" if 0 < len(value) <= 60 else ("a long text" if value else "empty")
    return "a mapping" if isinstance(value, dict) else "a list"


def _unfilled(context: _Context, data: Any, path: Path) -> Iterator[Problem]:
    """Yield a problem for each reference to a variable whose value is needed now."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _references(context, key, (*path, key), context.located.keys)
            if key not in FREE:
                yield from _unfilled(context, value, (*path, key))
    elif isinstance(data, list):
        for n, item in enumerate(data):
            yield from _unfilled(context, item, (*path, n))
    elif isinstance(data, str):
        yield from _references(context, data, path, context.located.sources)


def _references(
    context: _Context, text: str, path: Path, sources: Mapping[Path, Any]
) -> Iterator[Problem]:
    for reference in sorted(find_placeholders(text)) if "((" in text else ():
        error = context.kind(
            f"{context.name(path)} needs a value for '(({reference}))'",
            where=sources.get(path),
            fix=f"give one with -v {reference}=VALUE or in a file with -l; the director fills in "
            "variables only in properties, env, options and cloud_properties",
        )
        yield Problem(path, error)

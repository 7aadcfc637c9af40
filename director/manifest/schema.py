"""The JSON Schemas of the documents, and what they find wrong with one.

Beside the standard keywords a schema here may say ``must`` (what a value has to be, in words),
``notSupported`` (BOSH has the key and this director has not: what to do instead),
``notSupportedValues`` (the same for single values of an ``enum``) and ``exactlyOne`` (keys, one of
which has a value). Patterns match whole texts.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from director.model.source import Path

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """One keyword of ``schema`` that ``value``, at ``path``, does not fulfil.

    ``demand`` is what the keyword says there; ``message`` is jsonschema's own text.
    """

    keyword: str
    demand: Any
    schema: Schema
    value: Any
    path: Path
    message: str

    @property
    def must(self) -> str:
        return str(self.schema.get("must", "something else"))


def faults(name: str, data: Any) -> Iterator[Fault]:
    """Yield what is wrong with ``data`` by the schema called ``name``."""
    for error in _validator(name).iter_errors(data):
        schema = cast("Schema", error.schema)
        path = tuple(error.absolute_path)
        keyword = str(error.validator)
        yield Fault(keyword, error.validator_value, schema, error.instance, path, error.message)


@functools.cache
def load_schema(name: str) -> Schema:
    """Return the schema ``schemas/<name>.json``."""
    text = files("director.manifest").joinpath(f"schemas/{name}.json").read_text("utf-8")
    schema: Schema = json.loads(text)
    return schema


def is_required(name: str, path: Path) -> bool:
    """Whether the schema ``name`` demands a value at ``path``; items of a list have to have one."""
    if not path or isinstance(path[-1], int):
        return True
    schema = load_schema(name)
    for step in path[:-1]:
        schema = _inner(schema, step)
    return path[-1] in schema.get("required", ())


def _inner(schema: Schema, step: str | int) -> Schema:
    if isinstance(step, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(step) or schema.get("additionalProperties")
    if not isinstance(found, Mapping):
        return {}
    return load_schema("env") if found.get("$ref") == "env.json" else found


@functools.cache
def _validator(name: str) -> Any:
    """Return the compiled validator; jsonschema takes a while to import, so only here.

    The shared schema names no ``$schema``: it would be read without the keywords added here.
    """
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    extend: Any = validators.extend
    kind = extend(
        Draft202012Validator,
        {
            "pattern": _pattern,
            "enum": _enum,
            "notSupported": _not_supported,
            "notSupportedValues": _not_supported_values,
            "exactlyOne": _exactly_one,
        },
    )
    shared = DRAFT202012.create_resource(load_schema("env"))
    registry: Registry[Any] = Registry().with_resource("env.json", shared)
    return kind(load_schema(name), registry=registry)


def _pattern(_v: Any, pattern: str, value: Any, _s: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield _error("does not match")


def _enum(_v: Any, allowed: list[Any], value: Any, schema: Any) -> Iterator[ValidationError]:
    if value not in allowed and str(value) not in schema.get("notSupportedValues", ()):
        yield _error("is none of them")


def _not_supported(_v: Any, _text: str, value: Any, _s: Any) -> Iterator[ValidationError]:
    # An empty value asks for nothing, so nothing is missing.
    if value is not None and value is not False and value not in ([], {}):
        yield _error("is not supported")


def _not_supported_values(
    _v: Any, texts: Mapping[str, str], value: Any, _s: Any
) -> Iterator[ValidationError]:
    if isinstance(value, str) and value in texts:
        yield _error("is not supported")


def _exactly_one(_v: Any, keys: list[str], value: Any, _s: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict) and sum(value.get(key) is not None for key in keys) != 1:
        yield _error("has not exactly one of them")


def _error(text: str) -> ValidationError:
    from jsonschema.exceptions import ValidationError

    return ValidationError(text)

"""Binds a job's properties: what the release declares, from the manifest or by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from director.model.placeholders import find_placeholders
from director.model.release import Job


class WrongShape(Exception):
    """A property that should be below a mapping is below something else."""

    def __init__(self, what: str, fix: str, path: tuple[str, ...]) -> None:
        super().__init__(what)
        self.fix = fix
        self.path = path


def bind_properties(job: Job, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[WrongShape]]:
    """Return ``job``'s properties, nested by the dots of their names, and what has no right shape.

    Only declared names count. A value of None means the default; without one the property is there
    as None. Mappings are sorted by key, so that their order changes nothing.
    """
    bound: dict[str, Any] = {}
    wrong: list[WrongShape] = []
    for spec in job.properties:
        keys = tuple(spec.name.split("."))
        try:
            value = _look_up(given, keys, spec.name)
            _put(bound, keys, in_key_order(spec.default if value is None else value))
        except WrongShape as error:
            wrong.append(error)
    return in_key_order(bound), wrong


def undeclared(job: Job, given: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the paths in ``given`` that no property of ``job`` is at, above or below."""
    declared = {tuple(spec.name.split(".")) for spec in job.properties}
    above = {(), *(keys[:n] for keys in declared for n in range(len(keys)))}

    def search(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if path in declared or (path in above and not isinstance(value, Mapping)):
            return
        if path not in above:
            yield path
            return
        for key, inner in value.items():
            if not find_placeholders(key):
                yield from search(inner, (*path, key))

    return list(search(given, ()))


def _look_up(given: Mapping[str, Any], keys: tuple[str, ...], name: str) -> Any:
    value: Any = given
    for n, key in enumerate(keys):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            above = ".".join(keys[:n])
            fix = f"write a mapping at '{above}'"
            if isinstance(value, str) and len(find_placeholders(value)) == 1:
                (reference,) = find_placeholders(value)
                rest = ".".join(keys[n:])
                fix = f"write a mapping at '{above}', with '{rest}: (({reference}.{rest}))'"
            raise WrongShape(
                f"property '{name}' needs a mapping at '{above}', and {_kind(value)} is there",
                fix,
                keys[:n],
            )
        value = value.get(key)
    return value


def _put(bound: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        inner = bound.get(key)
        if not isinstance(inner, dict):
            inner = bound[key] = {}
        bound = inner
    # A shorter name (tls) may be declared after a longer one (tls.ca) and has less to say.
    if value is not None or keys[-1] not in bound:
        bound[keys[-1]] = value


def in_key_order(value: Any) -> Any:
    """Return ``value`` with every mapping in it sorted by key."""
    if isinstance(value, Mapping):
        return {key: in_key_order(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [in_key_order(item) for item in value]
    return value


def merge_properties(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``above`` laid over ``below``, mapping by mapping."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_properties(old, value) if both and old is not None else value
    return merged


def exported(properties: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the bound properties called ``names``, nested as they are."""
    result: dict[str, Any] = {}
    for name in names:
        keys = tuple(name.split("."))
        value: Any = properties
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        _put(result, keys, in_key_order(value))
    return result


def _kind(value: Any) -> str:
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "something else")

"""What operators write for a CPI, checked against a JSON Schema: every error at once, by name.

Each kind of properties (the CPI's own, a VM's, a network's, a disk's) is one schema of type
``object``; ``description`` of a property is its help text and its row in the CPI's README.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from cpis.contract import CloudError

Schema = Mapping[str, Any]


def object_schema(properties: Mapping[str, Any], *, required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a mapping that has only these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def check_properties(owner: str, schema: Schema, given: Mapping[str, Any]) -> None:
    """Raise CloudError unless ``given`` fits ``schema``; the error names all that is wrong.

    ``owner`` says whose properties they are: ``"VM"``, ``"network 'default'"``. Values are not
    shown, because some are secret. A property whose value is None counts as not given.
    """
    from jsonschema import Draft202012Validator

    present = {key: value for key, value in given.items() if value is not None}
    problems = [
        problem
        for error in sorted(
            Draft202012Validator(schema).iter_errors(present), key=lambda e: list(map(str, e.path))
        )
        for problem in _problems(owner, error)
    ]
    if problems:
        raise CloudError("; ".join(what for what, _ in problems), fix=_first_fix(problems))


def _problems(owner: str, error: Any) -> Iterator[tuple[str, str]]:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = sorted(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{close[0]}'? " if close else ""
                names = ", ".join(f"'{name}'" for name in known) or "none"
                full = f"{place}.{key}" if place else str(key)
                yield f"{owner} has an unknown property '{full}'", f"{hint}known: {names}"
    elif error.validator == "required" and isinstance(error.instance, dict):
        for key in error.validator_value:
            if key not in error.instance:
                full = f"{place}.{key}" if place else key
                yield f"{owner} lacks the property '{full}'", f"set '{full}'"
    else:
        help_text = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
        wanted = _wanted(error)
        yield (
            f"{owner} has a property '{place}' that is not {wanted}",
            f"use {wanted}" + (f": {help_text}" if help_text else ""),
        )


def _wanted(error: Any) -> str:
    wanted = error.validator_value
    if error.validator == "type":
        return " or ".join([wanted] if isinstance(wanted, str) else wanted)
    if error.validator == "enum":
        return "one of " + ", ".join(f"'{value}'" for value in wanted)
    return {"minimum": "at least", "maximum": "at most", "pattern": "text like"}.get(
        str(error.validator), str(error.validator)
    ) + f" {wanted}"


def _first_fix(problems: list[tuple[str, str]]) -> str:
    fixes = dict.fromkeys(fix for _, fix in problems)
    return "; ".join(list(fixes)[:3])

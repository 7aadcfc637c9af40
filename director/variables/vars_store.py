"""The client's variables file (``--vars-store``): its values, and generating what is missing."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from director.model.errors import NotSupported, VariableError
from director.model.manifest import Variable
from director.model.placeholders import fill, find_placeholders, look_up
from director.variables.generate import COMMAND_LINE, generate
from director.variables.order import in_order

_MAX_BYTES = 10 * 1024 * 1024


def load(path: str | Path) -> dict[str, Any]:
    """Return the values in the file, none where there is no file; raises VariableError."""
    import yaml

    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("it is larger than 10 MB")
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except FileNotFoundError:
        return {}
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the line, which may be a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _unreadable(path, f"line {line} is not YAML") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _unreadable(path, str(error)) from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(name, str) for name in data):
        raise _unreadable(path, "it is not a mapping of names to values")
    return data


def save(path: str | Path, values: Mapping[str, Any]) -> None:
    """Write the values, readable for their owner only; the file is replaced in one step."""
    import yaml

    target = Path(path).absolute()
    if target.is_symlink():
        target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yaml.dump(dict(values), file, Dumper=_dumper(), sort_keys=False, allow_unicode=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read_variables(data: Any) -> tuple[Variable, ...]:
    """Return the entries of a manifest's ``variables`` as loaded; raises VariableError."""
    if data is None:
        return ()
    if not isinstance(data, list):
        raise VariableError(
            "'variables' is not a list", fix="write entries that begin with '- name: ...'"
        )
    return tuple(_variable(entry) for entry in data)


def generate_missing(
    values: Mapping[str, Any],
    variables: Sequence[Variable],
    *,
    now: float,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return ``values`` and a new value for each of ``variables`` that has none.

    ``given`` are values from elsewhere, which go before: such a variable is not generated, and
    options may use it. A variable whose options use an unknown one is left to the director.
    """
    elsewhere = dict(given or {})
    known = {**values, **elsewhere}
    made = dict(values)
    for variable in in_order(variables):
        if variable.name in known:
            continue
        options = fill(variable.options, look_up(known))
        signer = options.get("ca")
        if find_placeholders(options) or (signer is not None and signer not in known):
            continue
        filled = replace(variable, options=options)
        value = generate(filled, defaults=COMMAND_LINE, now=now, ca=known.get(signer))
        made[variable.name] = known[variable.name] = value
    return made


def _variable(entry: Any) -> Variable:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise VariableError("an entry of 'variables' has no name", fix="give it 'name' and 'type'")
    name = entry["name"]
    if not isinstance(entry.get("type"), str):
        raise VariableError(f"variable '{name}' has no type", fix="give it a 'type'")
    if "consumes" in entry:
        raise NotSupported(
            f"variable '{name}' takes its names from a link ('consumes')",
            fix="write the names into 'common_name' and 'alternative_names'",
        )
    options = entry.get("options") or {}
    if not isinstance(options, Mapping):
        raise VariableError(
            f"the options of variable '{name}' are not a mapping", fix="write them as 'key: value'"
        )
    return Variable(
        name=name,
        type=entry["type"],
        options=options,
        update_mode=str(entry.get("update_mode", "no-overwrite")),
    )


def _dumper() -> Any:
    """Return a YAML dumper that writes texts of several lines (keys, certificates) as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper


def _unreadable(path: str | Path, why: str) -> VariableError:
    return VariableError(
        f"the variables file '{path}' cannot be read: {why}",
        fix="correct the file, or name another one with --vars-store",
    )

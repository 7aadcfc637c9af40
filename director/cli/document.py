"""A document as it is sent: read from files, with ops files applied and variables filled in."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from director.cli.options import DocumentOptions
from director.model.errors import UsageError, VariableError
from director.model.source import Source

if TYPE_CHECKING:
    from director.manifest.located_yaml import Located

LARGEST_FILE = 20_000_000
Positions = Callable[[int, int], Source | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """``data`` and its ``text``. ``positions`` leads from a place in the text to the operator's
    files; ``missing`` are references no variable was given for, ``unused`` variables that no
    reference uses. ``plain`` tells that nothing was filled in or changed: the text is the file's.
    """

    data: Any
    text: str
    path: str
    located: Located
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    plain: bool


def read_text(path: str) -> str:
    """Return a file's text; ``-`` is standard input. Raises UsageError where it cannot be read."""
    try:
        if path == "-":
            return sys.stdin.read(LARGEST_FILE)
        if os.path.getsize(path) > LARGEST_FILE:
            raise UsageError(
                f"'{path}' is larger than {LARGEST_FILE // 1_000_000} MB",
                fix="check that this is the right file; a manifest has kilobytes",
            )
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"'{path}' is not UTF-8 text", fix="check the file") from error
    except OSError as error:
        cause = error.strerror or str(error)
        raise UsageError(f"'{path}' cannot be read: {cause}", fix="check the path") from error


def load_document(path: str, options: DocumentOptions) -> Document:
    """Read, patch and interpolate; raises the errors of each with file, line and column."""
    from director.manifest.emit import emit
    from director.manifest.interpolate import interpolate
    from director.manifest.located_yaml import load_located
    from director.manifest.ops_files import patch

    text = read_text(path)
    located = load_located(text, path)
    for ops_file in options.ops_files:
        located = patch(located, load_located(read_text(ops_file), ops_file))
    given = given_variables(options)
    values: dict[str, Any] = dict(given)
    if options.variables_store:
        values = {**_from_store(options.variables_store, located.data, given), **values}
    result = interpolate(located.data, values)
    plain = not options.ops_files and result.data == located.data
    return Document(
        data=result.data,
        text=text if plain else emit(result.data),
        path=path,
        located=located,
        missing=result.missing,
        unused=tuple(sorted(set(given) - set(result.used))),
        plain=plain,
    )


def positions(document: Document, text: str) -> Positions:
    """Return the way back from ``text``, emitted from the document's data, to its files."""
    if text == document.text and document.plain:
        return lambda line, column: Source(document.path, line, column)
    found: list[Positions] = []

    def translate(line: int, column: int) -> Source | None:
        if not found:
            from director.manifest.emit import line_map

            found.append(line_map(text, document.located.sources))
        return found[0](line, column)

    return translate


def translator(label: str, find: Positions) -> Callable[[str], str]:
    """Return what turns ``<label>:12:3`` in a text into the place in the operator's files."""
    pattern = re.compile(rf"(?<![\w./-]){re.escape(label)}:(\d+):(\d+)(?!\d)")

    def replace(match: re.Match[str]) -> str:
        source = find(int(match[1]), int(match[2]))
        return str(source) if source else match[0]

    return lambda text: pattern.sub(replace, text)


def given_variables(options: DocumentOptions) -> dict[str, Any]:
    """Return the variables given: ``-v`` over ``--var-file`` over ``-l`` over ``--vars-env``."""
    from director.manifest.located_yaml import load_located, require_mapping

    values: dict[str, Any] = {}
    for prefix in options.variables_env:
        for name, text in os.environ.items():
            if name.startswith(f"{prefix}_"):
                values[name[len(prefix) + 1 :]] = _value(name, text)
    for path in options.variables_files:
        located = load_located(read_text(path), path)
        if located.data is not None:
            values.update(require_mapping(located, "a file of variables"))
    for name, path in _assignments(options.variable_files, "--var-file", "NAME=PATH"):
        values[name] = read_text(path)
    for name, text in _assignments(options.variables, "--var", "NAME=VALUE"):
        values[name] = _value(name, text)
    return values


def _assignments(given: tuple[str, ...], option: str, form: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for n, text in enumerate(given):
        name, equals, value = text.partition("=")
        if not equals or not name:
            # The text may be the secret itself, its name forgotten: it is not repeated here.
            raise UsageError(f"{option} number {n + 1} has no name", fix=f"write {option} {form}")
        pairs.append((name, value))
    return pairs


def _value(name: str, text: str) -> Any:
    from director.manifest.located_yaml import load_located
    from director.model.errors import YamlError

    try:
        return load_located(text, name).data
    except YamlError:
        # Without a cause: its text would show the value.
        raise VariableError(
            f"the value of variable '{name}' is not YAML",
            fix="quote it as YAML text, or give it in a file with --var-file",
        ) from None


def _from_store(path: str, data: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a vars store's values, after generating those the document declares and lacks."""
    from director.variables.vars_store import generate_missing, load, read_variables, save

    stored = load(path)
    declared = read_variables(data.get("variables") if isinstance(data, Mapping) else None)
    values = generate_missing(stored, declared, now=time.time(), given=given)
    if values != stored:
        save(path, values)
    return values

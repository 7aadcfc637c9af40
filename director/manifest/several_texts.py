"""Configs of one type that are read together as one, and variables in what many deployments use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from director.manifest.check import FREE
from director.manifest.located_yaml import Located, load_located, require_mapping
from director.manifest.nodes import ListNode, MapNode, Node
from director.manifest.problems import raise_sorted
from director.manifest.reading import Reader
from director.model.errors import DirectorError, ErrorList
from director.model.placeholders import find_placeholders
from director.model.source import Path

Texts = Sequence[tuple[str, str]]
"""Pairs of what a file is called and its text."""


def label(kind: str, name: str) -> str:
    """Return what the config of a kind and name is called in positions of errors."""
    return f"{kind}-config" if name == "default" else f"{kind}-config:{name}"


def load_texts(texts: Texts, title: str) -> tuple[list[Located], list[DirectorError]]:
    """Return the documents that are mappings, and what is wrong with the others."""
    errors: list[DirectorError] = []
    parts: list[Located] = []
    for file, text in texts:
        try:
            located = load_located(text, file)
            require_mapping(located, title)
            parts.append(located)
        except DirectorError as error:
            errors.extend(error.errors if isinstance(error, ErrorList) else [error])
    return parts, errors


def together(parts: Sequence[Located], file: str) -> Located:
    """Return one document whose lists hold the items of all parts; ``file`` names an empty one."""
    if len(parts) == 1:
        return parts[0]
    whole = MapNode(None)
    for part in parts:
        assert isinstance(part.root, MapNode)
        for key, (at, node) in part.root.entries.items():
            there = whole.entries.get(key)
            if there is not None and isinstance(there[1], ListNode) and isinstance(node, ListNode):
                both: Node = ListNode(there[1].source, [*there[1].items, *node.items])
                whole.entries[key] = (there[0], both)
            elif there is None or isinstance(there[1], ListNode):
                # What is not a list where one is needed wins, so that its error is found.
                whole.entries[key] = (at, node)
    return Located.of(whole, parts[0].file if parts else file)


def check_beside(
    read: Callable[[Texts], object], file: str, text: str, others: Sequence[tuple[str, str]]
) -> None:
    """Raise everything that is wrong with a config that shall stand beside ``others``.

    What it lacks may be in the others. What only they make wrong, such as a name that is in two of
    them, is left to the deploy: moving an entry takes two updates, with a conflict in between.
    """
    alone = _faults(read, [(file, text)])
    if alone and others:
        beside = _faults(read, [*others, (file, text)])
        known = {(error.what, error.where) for error in beside}
        alone = [error for error in alone if (error.what, error.where) in known]
    raise_sorted(alone)


def _faults(read: Callable[[Texts], object], texts: Texts) -> Sequence[DirectorError]:
    try:
        read(texts)
    except ErrorList as several:
        return several.errors
    except DirectorError as error:
        return [error]
    return []


def check_references(reader: Reader, title: str) -> None:
    """Note variables with a relative name: a config serves many deployments."""
    _check(reader, title, reader.located.data, (), free=False)


def _check(reader: Reader, title: str, data: Any, path: Path, *, free: bool) -> None:
    if isinstance(data, Mapping):
        for key, value in data.items():
            _check(reader, title, value, (*path, key), free=free or key in FREE)
    elif isinstance(data, list):
        for n, item in enumerate(data):
            _check(reader, title, item, (*path, n), free=free)
    elif free and isinstance(data, str) and "((" in data:
        for reference in sorted(find_placeholders(data)):
            if not reference.startswith("/"):
                what = f"'(({reference}))' in a {title} has a relative name"
                fix = f"write '((/{reference}))', or give its value with -v {reference}=VALUE"
                reader.add(what, path, fix)

"""Where a document uses which variable, for the error about one that nobody gave a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from director.manifest.located_yaml import Located
from director.model.placeholders import find_placeholders, variable_name
from director.model.source import Path, Source


def first_uses(located: Located) -> dict[str, Source]:
    """Return each variable's name and where it stands first: in a value, in a key, or as the
    authority that signs a certificate."""
    found: dict[str, Source] = {}
    for path, text, is_key in _texts(located.data, ()):
        names = {variable_name(reference) for reference in find_placeholders(text)}
        if _is_authority(path):
            names.add(text)
        where = (located.keys if is_key else located.sources).get(path)
        if where is not None:
            found.update((name, min(where, found.get(name, where))) for name in names)
    return found


def _texts(data: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Yield the texts that may name a variable: their paths, themselves, whether one is a key."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if "((" in key:
                yield (*path, key), key, True
            yield from _texts(value, (*path, key))
    elif isinstance(data, list):
        for n, item in enumerate(data):
            yield from _texts(item, (*path, n))
    elif isinstance(data, str) and ("((" in data or _is_authority(path)):
        yield path, data, False


def _is_authority(path: Path) -> bool:
    return len(path) == 4 and path[0] == "variables" and path[2:] == ("options", "ca")

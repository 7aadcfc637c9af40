"""YAML with positions: data, and where in the operator's file each piece of it stands.

The text may be hostile: its size, its depth and what its anchors expand to are bounded, and no
tag makes anything but plain data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from director.manifest.nodes import KeySources, Node, ValueSources, to_data
from director.manifest.tree_builder import TreeBuilder
from director.manifest.yaml_faults import explain
from director.model.errors import YamlError, raise_all
from director.model.source import Path, Source

LARGEST_TEXT = 10_000_000

_NOT_IN_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Located:
    """A YAML document. ``data`` is plain Python, its mapping keys are text as written;
    ``sources`` says where each value stands, ``keys`` where the key of each mapping entry does."""

    root: Node
    file: str
    data: Any = field(repr=False)
    sources: Mapping[Path, Source] = field(repr=False)
    keys: Mapping[Path, Source] = field(repr=False)

    @classmethod
    def of(cls, root: Node, file: str) -> Located:
        """Wrap a tree."""
        return cls(root, file, to_data(root), ValueSources(root), KeySources(root))

    def where(self, path: Path) -> Source | None:
        """Return the value's position, or that of the nearest thing around it."""
        while path and path not in self.sources:
            path = path[:-1]
        return self.sources.get(path)


def load_located(text: str, file: str) -> Located:
    """Read one YAML document; raises YamlError (or an ErrorList of them) with line and column.

    Refused: more than 10 MB, more than one document, duplicate keys (``<<`` may override), anchors
    that contain themselves, aliases that expand to too much, and tags that are not plain data.
    """
    if len(text) > LARGEST_TEXT:
        raise YamlError(
            f"the file has {len(text) / 1e6:.0f} MB; {LARGEST_TEXT / 1e6:.0f} MB is the limit",
            where=Source(file, 1, 1),
            fix="check that this is the right file; a manifest has kilobytes",
        )
    bad = _NOT_IN_YAML.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        raise YamlError(
            f"the character U+{ord(bad[0]):04X} is not allowed in YAML",
            where=Source(file, line, column),
            fix="save the file as UTF-8 text, and write such a character as an escape in double "
            'quotes ("\\x07")',
        )
    builder = TreeBuilder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.YAMLError as error:
        raise explain(error, text, file) from error
    raise_all(builder.errors)
    return Located.of(builder.root, file)


def require_mapping(located: Located, name: str) -> Mapping[str, Any]:
    """Return the document's mapping; raises YamlError where it is empty or something else."""
    if isinstance(located.data, dict) and located.data:
        return located.data
    what = "is empty" if not located.data else "is not a mapping of keys to values"
    raise YamlError(
        f"the {name} {what}",
        where=located.sources.get(()),
        fix=f"write the {name} as lines of 'key: value'",
    )

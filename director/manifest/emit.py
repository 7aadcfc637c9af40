"""Plain data as YAML text, and the way back from a place in that text to the operator's files."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from director.manifest.located_yaml import load_located
from director.manifest.scalars import WrittenFloat
from director.model.source import Path, Source

_WIDEST_LINE = 1 << 20


class _Dumper(yaml.CSafeDumper):
    """Writes no anchors, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class names it
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _written_float(dumper: _Dumper, value: WrittenFloat) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", value.text)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(WrittenFloat, _written_float)
# YAML 1.1 has these booleans and PyYAML does not know them: without this they would be written
# without quotes and read back as something else.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def emit(data: Any) -> str:
    """Return YAML text of ``data`` that reads back as the same; keys keep their order."""
    return str(
        yaml.dump(
            data,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=_WIDEST_LINE,
        )
    )


def line_map(
    text_sent: str, data_sources: Mapping[Path, Source]
) -> Callable[[int, int], Source | None]:
    """Return a function from line and column in ``text_sent`` to the operator's own file.

    ``data_sources`` says where the paths of the data stand that ``text_sent`` was emitted from.
    The function answers with the nearest value that has a source, or None where there is none.
    """
    sent = load_located(text_sent, "")
    places: dict[tuple[int, int], Path] = {}
    for sources in (sent.keys, sent.sources):
        for path, at in sources.items():
            places[at.line, at.column] = path
    ordered = sorted(places)

    def translate(line: int, column: int) -> Source | None:
        index = bisect_right(ordered, (line, column)) - 1
        path = places[ordered[index]] if index >= 0 else ()
        while path:
            source = data_sources.get(path)
            if source is not None:
                return source
            path = path[:-1]
        return data_sources.get(())

    return translate

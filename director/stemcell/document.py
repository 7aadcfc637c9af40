"""The small YAML documents of stemcells, from definitions and from strangers' tarballs."""

from __future__ import annotations

from typing import Any

import yaml

from director.model.errors import StemcellInvalid

MAX_BYTES = 100_000


def read_mapping(text: str, file: str) -> dict[str, Any]:
    """Return a document's mapping; raises StemcellInvalid for anything else.

    Anchors are refused: nothing here needs them, and a few lines of them unfold to gigabytes.
    """
    if len(text) > MAX_BYTES:
        raise StemcellInvalid(f"'{file}' is longer than {MAX_BYTES} characters")
    try:
        if any(isinstance(token, yaml.AliasEvent) for token in yaml.parse(text, yaml.CSafeLoader)):
            raise StemcellInvalid(f"'{file}' uses YAML aliases", fix="write the values out")
        data = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise StemcellInvalid(f"'{file}' is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise StemcellInvalid(f"'{file}' must be a mapping of keys and values")
    return data

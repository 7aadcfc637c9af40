"""Reads ``update`` blocks: the deployment's, and a group's laid over it key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from director.manifest.reading import Reader, present
from director.model.amounts import Amount, WatchTime
from director.model.manifest import UpdatePolicy
from director.model.source import Path


def read_update(
    reader: Reader, raw: Mapping[str, Any] | None, path: Path, inherited: UpdatePolicy | None = None
) -> UpdatePolicy | None:
    """Return the policy of an ``update`` block; what it lacks comes from ``inherited``.

    None where the block has errors, or lacks something and nothing is inherited.
    """
    if not reader.clean(*path):
        return None
    if inherited is None and not raw:
        return None
    entry = present(raw)
    own: dict[str, Any] = {}
    for key, value in entry.items():
        if key in ("canaries", "max_in_flight"):
            own[key] = reader.parse(Amount.parse, value, (*path, key), Amount(0))
        elif key in ("canary_watch_time", "update_watch_time"):
            own[key] = reader.parse(WatchTime.parse, value, (*path, key), WatchTime(0, 0))
        elif key != "vm_strategy":  # the schema allows it one value, the only way there is
            own[key] = value
    return replace(inherited, **own) if inherited else UpdatePolicy(**own)

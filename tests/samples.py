"""Manifests for acceptance tests, as data to be changed and written."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]

GREETER: dict[str, Any] = {
    "name": "greeter",
    "releases": [
        {"name": "greeter", "version": "create", "url": f"file://{REPOSITORY}/releases/greeter"}
    ],
    "stemcells": [{"alias": "default", "os": "debian-12", "version": "latest"}],
    "update": {
        "canaries": 1,
        "max_in_flight": 2,
        "canary_watch_time": "100-30000",
        "update_watch_time": "100-30000",
    },
    "instance_groups": [
        {
            "name": "greeter",
            "azs": ["z1", "z2"],
            "instances": 2,
            "vm_type": "small",
            "stemcell": "default",
            "networks": [{"name": "default"}],
            "jobs": [{"name": "greeter", "release": "greeter", "properties": {"word": "Welcome"}}],
        }
    ],
}


def greeter(name: str, **group: Any) -> dict[str, Any]:
    """Return a deployment of the greeter called ``name``; ``group`` replaces keys of its group."""
    manifest = copy.deepcopy(GREETER)
    manifest["name"] = name
    manifest["instance_groups"][0].update(group)
    return manifest


def write(manifest: dict[str, Any], directory: Path) -> Path:
    """Write a manifest into ``directory`` and return the file."""
    file = directory / f"{manifest['name']}.yml"
    file.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return file

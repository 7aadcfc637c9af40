"""Reads a deployment manifest: from text to a Deployment that is valid in itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from director.manifest.located_yaml import load_located, require_mapping
from director.manifest.read_group import read_group
from director.manifest.read_update import read_update
from director.manifest.read_variables import read_variables
from director.manifest.reading import Reader, present
from director.manifest.scalars import as_text
from director.manifest.uses import first_uses
from director.model.errors import ManifestError
from director.model.manifest import Deployment, ReleaseUse, StemcellUse


def read_deployment(text: str, file: str = "manifest") -> Deployment:
    """Return the deployment a manifest describes; nothing in it is looked up yet.

    ``file`` is the name that errors show. Raises YamlError, ManifestError or NotSupported, or an
    ErrorList of all that is wrong.
    """
    located = load_located(text, file)
    require_mapping(located, "deployment manifest")
    reader = Reader(located, "deployment", ManifestError)
    data = present(located.data)
    releases = _releases(reader)
    stemcells = _stemcells(reader)
    update = read_update(reader, data.get("update"), ("update",))
    reader.unique(("instance_groups",))
    groups = [
        group
        for n in range(len(reader.items(("instance_groups",))))
        if (group := read_group(reader, n, update)) is not None
    ]
    _check_migrations(reader)
    variables = read_variables(reader)
    reader.finish()
    return Deployment(
        name=data["name"],
        releases=releases,
        stemcells=stemcells,
        instance_groups=tuple(groups),
        variables=variables,
        properties=data.get("properties", {}),
        tags=read_tags(data.get("tags")),
        features=present(data.get("features")),
        sources=located.sources,
        uses=first_uses(located),
    )


def read_tags(tags: Mapping[str, Any] | None) -> dict[str, str]:
    """Return tags as texts, whatever scalars they are in YAML."""
    return {key: as_text(value) for key, value in present(tags).items()}


def _releases(reader: Reader) -> tuple[ReleaseUse, ...]:
    reader.unique(("releases",))
    found = []
    for n, raw in enumerate(reader.items(("releases",))):
        if not reader.clean("releases", n):
            continue
        entry = present(raw)
        version = as_text(entry["version"])
        if version == "create" and "url" not in entry:
            reader.add(
                f"release '{entry['name']}' has the version 'create' and no url",
                ("releases", n, "version"),
                "add 'url: file://' and the release's directory, or name an uploaded version",
            )
        use = {key: entry.get(key) for key in ("url", "sha1")}
        found.append(ReleaseUse(name=entry["name"], version=version, **use))
    return tuple(found)


def _stemcells(reader: Reader) -> tuple[StemcellUse, ...]:
    reader.unique(("stemcells",), "alias")
    found = []
    for n, raw in enumerate(reader.items(("stemcells",))):
        if not reader.clean("stemcells", n):
            continue
        entry = present(raw)
        if ("os" in entry) == ("name" in entry):
            has = "both 'os' and 'name'" if "os" in entry else "neither 'os' nor 'name'"
            what = f"stemcell '{entry['alias']}' has {has}"
            reader.add(what, ("stemcells", n), "give it exactly one of the two")
        found.append(
            StemcellUse(
                alias=entry["alias"],
                version=as_text(entry["version"]),
                os=entry.get("os"),
                name=entry.get("name"),
            )
        )
    return tuple(found)


def _check_migrations(reader: Reader) -> None:
    """An old group is taken over by one group, and is no longer in the manifest."""
    raw = reader.items(("instance_groups",))
    names = {group.get("name") for group in raw if isinstance(group, dict)}
    heirs: dict[str, str] = {}
    for n, group in enumerate(raw):
        for m, entry in enumerate(reader.items(("instance_groups", n, "migrated_from"))):
            path = ("instance_groups", n, "migrated_from", m)
            if not reader.clean(*path):
                continue
            old, heir = entry["name"], str(group.get("name"))
            if old in names:
                reader.add(
                    f"instance group '{heir}' is migrated from '{old}', which is still there",
                    (*path, "name"),
                    f"take the instance group '{old}' out, or the migrated_from entry",
                )
            elif old in heirs and heirs[old] != heir:
                reader.add(
                    f"instance group '{old}' migrates into both '{heirs[old]}' and '{heir}'",
                    (*path, "name"),
                    "keep one of the two migrated_from entries",
                )
            heirs.setdefault(old, heir)

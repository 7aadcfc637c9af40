"""What a manifest would change: it and the cloud configs, against what is deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from director.api.documents import difference, read_mapping
from director.model.records import ConfigRecord, DeploymentRecord
from director.model.versions import newest, pick
from director.store.store import Store


def cloud_config_ids(store: Store) -> list[int]:
    """Return the ids of the current cloud configs."""
    return [config.id for config in store.configs.list(type="cloud")]


def compare(
    store: Store, deployment: str, manifest: Mapping[str, Any], *, redact: bool
) -> list[list[str | None]]:
    """Return the lines of the difference; all are added where nothing is deployed yet.

    Versions are compared as they are resolved: ``latest`` with the newest that is there.
    """
    record = store.deployments.get(deployment)
    old: dict[str, Any] | None = None
    if record is not None and record.manifest is not None:
        used = [store.configs.get(id) for id in record.cloud_config_ids]
        old = _merged(config for config in used if config is not None)
        old.update(read_mapping(record.manifest, "deployed manifest"))
        _resolve(old, _deployed(old, record))
    new = _merged(store.configs.list(type="cloud"))
    new.update(manifest)
    _resolve(new, _newest(store, new))
    return difference(old, new, redact=redact)


def _merged(configs: Iterable[ConfigRecord]) -> dict[str, Any]:
    """Return cloud configs laid together: lists are joined."""
    merged: dict[str, Any] = {}
    for config in configs:
        for key, value in read_mapping(config.content, "cloud config").items():
            both_lists = isinstance(value, list) and isinstance(merged.get(key), list)
            merged[key] = [*merged[key], *value] if both_lists else value
    return merged


def _resolve(data: dict[str, Any], versions: Mapping[tuple[str, int], str]) -> None:
    """Put the versions found into the entries of ``releases`` and ``stemcells``."""
    for key in ("releases", "stemcells"):
        entries = data.get(key)
        if isinstance(entries, list):
            data[key] = [
                {**entry, "version": versions[key, n]} if (key, n) in versions else entry
                for n, entry in enumerate(entries)
            ]


def _floating(data: Mapping[str, Any], key: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Yield the entries whose version is not exact, with their places."""
    entries = data.get(key)
    for n, entry in enumerate(entries if isinstance(entries, list) else ()):
        version = str(entry.get("version", "")) if isinstance(entry, dict) else ""
        if version in ("latest", "create") or version.endswith(".latest"):
            yield n, entry


def _deployed(data: Mapping[str, Any], record: DeploymentRecord) -> dict[tuple[str, int], str]:
    releases = dict(record.releases)
    found = {
        ("releases", n): releases[entry["name"]]
        for n, entry in _floating(data, "releases")
        if entry.get("name") in releases
    }
    for n, entry in _floating(data, "stemcells"):
        named = {v for name, v in record.stemcells if entry.get("name") in (None, name)}
        if len(named) == 1:
            found["stemcells", n] = named.pop()
    return found


def _newest(store: Store, data: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str | None] = {}
    for n, entry in _floating(data, "releases"):
        versions = [r.version for r in store.releases.versions(str(entry.get("name")))]
        found["releases", n] = newest(versions)
    stemcells = store.stemcells.list() if data.get("stemcells") else []
    for n, entry in _floating(data, "stemcells"):
        versions = [
            s.version
            for s in stemcells
            if entry.get("name") == s.name or entry.get("os") == s.operating_system
        ]
        found["stemcells", n] = pick(str(entry["version"]), versions)
    return {key: version for key, version in found.items() if version is not None}

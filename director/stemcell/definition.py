"""A stemcell definition: the directory `build-stemcell` makes a tarball of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from director.model.errors import StemcellInvalid
from director.stemcell.document import read_mapping

_WORD = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
_KEYS = {
    "name",
    "operating_system",
    "major",
    "suite",
    "keyring",
    "keyring_package",
    "fallback_sources",
    "packages",
    "cloud_properties",
    "light",
    "formats",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StemcellDefinition:
    """``stemcell.yml`` as read. ``suite`` is looked for among the host's package sources;
    ``fallback_sources`` are (URI, suite, components) used where the host has none.

    A ``light`` stemcell has no image of its own: a cloud property names one that the cloud has, and
    ``formats`` says of which stemcell format each such property makes it. Nothing is built then.
    """

    name: str
    operating_system: str
    major: int
    suite: str = ""
    keyring: Path = Path()
    keyring_package: str = ""
    packages: tuple[str, ...] = ()
    light: bool = False
    formats: Mapping[str, str] = field(default_factory=dict)
    fallback_sources: tuple[tuple[str, str, str], ...] = ()
    customize: Path | None = None
    cloud_properties: Mapping[str, Any] = field(default_factory=dict)


def read_definition(directory: Path) -> StemcellDefinition:
    """Read ``stemcell.yml`` and find ``customize.sh`` in ``directory``; raises StemcellInvalid."""
    path = directory / "stemcell.yml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StemcellInvalid(
            f"'{directory}' is not a stemcell definition: {error}",
            fix="name a directory that holds a stemcell.yml, such as stemcells/debian-12",
        ) from error
    data = read_mapping(text, str(path))
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise StemcellInvalid(
            f"'{path}' has unknown keys: {', '.join(map(str, unknown))}",
            fix=f"use only {', '.join(sorted(_KEYS))}",
        )
    if data.get("light", False) is not False:
        return _light(data, path)
    customize = directory / "customize.sh"
    return StemcellDefinition(
        name=_word(data, "name", path),
        operating_system=_word(data, "operating_system", path),
        major=_number(data, path),
        suite=_word(data, "suite", path),
        keyring=Path(str(data.get("keyring", ""))),
        keyring_package=str(data.get("keyring_package", "debian-archive-keyring")),
        packages=_words(data.get("packages", []), "packages", path),
        fallback_sources=_sources(data.get("fallback_sources", []), path),
        customize=customize.resolve() if customize.exists() else None,
        cloud_properties=dict(data.get("cloud_properties") or {}),
    )


def _light(data: Mapping[str, Any], path: Path) -> StemcellDefinition:
    meant = {"name", "operating_system", "major", "light", "formats", "cloud_properties"}
    needless = sorted(set(data) - meant)
    if data["light"] is not True or needless:
        raise StemcellInvalid(
            f"'{path}' is light and has what builds an image: {', '.join(needless)}"
            if needless
            else f"'{path}' needs 'light' to be true or false",
            fix="take these keys away, or 'light'" if needless else "write 'light: true'",
        )
    return StemcellDefinition(
        name=_word(data, "name", path),
        operating_system=_word(data, "operating_system", path),
        major=_number(data, path),
        light=True,
        formats=_formats(data.get("formats"), path),
        cloud_properties=dict(data.get("cloud_properties") or {}),
    )


def _word(data: Mapping[str, Any], key: str, path: Path) -> str:
    value = str(data.get(key, ""))
    if not _WORD.fullmatch(value):
        raise StemcellInvalid(
            f"'{path}' needs '{key}' to be a word, not '{value}'",
            fix=f"give {key} a value of lower case letters, digits, '.', '+', '_' and '-'",
        )
    return value


def _number(data: Mapping[str, Any], path: Path) -> int:
    value = data.get("major")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise StemcellInvalid(
            f"'{path}' needs 'major' to be a number, not '{value}'",
            fix="give the major version of the operating system, such as 12",
        )
    return value


def _formats(value: Any, path: Path) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(_WORD.fullmatch(str(v)) for v in value.values()):
        raise StemcellInvalid(
            f"'{path}' needs 'formats' to be a mapping",
            fix="name the stemcell format for each cloud property, such as 'ami: aws-light'",
        )
    return {str(name): str(made) for name, made in value.items()}


def _words(value: Any, key: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_WORD.fullmatch(str(item)) for item in value):
        raise StemcellInvalid(f"'{path}' needs '{key}' to be a list of package names")
    return tuple(str(item) for item in value)


def _sources(value: Any, path: Path) -> tuple[tuple[str, str, str], ...]:
    if not isinstance(value, list):
        raise StemcellInvalid(f"'{path}' needs 'fallback_sources' to be a list")
    found = []
    for item in value:
        parts = tuple(str(item).split())
        if len(parts) != 3 or not parts[0].startswith(("http://", "https://")):
            raise StemcellInvalid(
                f"'{path}' has a fallback source '{item}'",
                fix="write it as 'http://host/path suite component'",
            )
        found.append((parts[0], parts[1], parts[2]))
    return tuple(found)

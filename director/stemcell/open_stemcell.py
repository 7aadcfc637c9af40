"""Open a stemcell tarball: check its manifest and its image, and lay the image out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from director.archives import read_archive
from director.model.digests import verify
from director.model.errors import StemcellInvalid
from director.stemcell.document import MAX_BYTES, read_mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedStemcell:
    """A stemcell on disk. ``image`` is the path of its image file; ``digest`` was verified.

    ``formats`` is empty where the manifest names none.
    """

    name: str
    version: str
    operating_system: str
    image: Path
    digest: str = ""
    api_version: int | None = None
    formats: tuple[str, ...] = ()
    cloud_properties: Mapping[str, Any] = field(default_factory=dict)


def open_stemcell(path: Path, workdir: Path) -> OpenedStemcell:
    """Unpack manifest and image of the tarball at ``path`` into ``workdir`` and check them.

    Raises StemcellInvalid for a malformed or hostile tarball, DigestMismatch for an image that is
    not the one the manifest names.
    """
    image = workdir / "image"
    text: str | None = None
    try:
        with open(path, "rb") as stream:
            for member in read_archive(stream, what=f"'{path.name}'", invalid=StemcellInvalid):
                if member.kind != "file":
                    continue
                if member.name == "stemcell.MF":
                    text = member.read(MAX_BYTES).decode("utf-8")
                elif member.name == "image":
                    with image.open("wb") as target:
                        while chunk := member.content.read(_CHUNK):
                            target.write(chunk)
    except FileNotFoundError as error:
        raise StemcellInvalid(f"'{path}' does not exist") from error
    except ValueError as error:
        raise StemcellInvalid(f"stemcell.MF in '{path.name}' cannot be read: {error}") from error
    if text is None or not image.exists():
        missing = "stemcell.MF" if text is None else "image"
        raise StemcellInvalid(
            f"'{path.name}' is not a stemcell: it has no '{missing}'",
            fix="name a stemcell tarball, such as build-stemcell makes",
        )
    opened = _read_manifest(text, image)
    if opened.digest and image.stat().st_size:  # a light stemcell's image is empty
        with image.open("rb") as stream:
            verify(stream, opened.digest, what=f"the image of stemcell '{opened.name}'")
    return opened


def _read_manifest(text: str, image: Path) -> OpenedStemcell:
    data = read_mapping(text, "stemcell.MF")
    name, version = str(data.get("name", "")), str(data.get("version", ""))
    system = str(data.get("operating_system") or name)
    for key, value in (("name", name), ("version", version), ("operating_system", system)):
        if not _NAME.fullmatch(value):
            raise StemcellInvalid(
                f"stemcell.MF needs '{key}' to be a name, not '{value[:100]}'",
                fix=f"correct {key} in stemcell.MF",
            )
    formats = data.get("stemcell_formats") or []
    properties = data.get("cloud_properties") or {}
    api = data.get("api_version")
    if not isinstance(formats, list) or not isinstance(properties, dict):
        raise StemcellInvalid(
            "stemcell.MF needs 'stemcell_formats' to be a list and 'cloud_properties' a mapping"
        )
    return OpenedStemcell(
        name=name,
        version=version,
        operating_system=system,
        image=image,
        digest="" if data.get("sha1") is None else str(data["sha1"]),
        api_version=api if isinstance(api, int) else None,
        formats=tuple(str(item) for item in formats),
        cloud_properties=properties,
    )

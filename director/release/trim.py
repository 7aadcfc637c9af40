"""Leave out of a release tarball what a director has already."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path

from director.archives import read_archive
from director.model.errors import ReleaseInvalid
from director.release.open_release import read_manifest
from director.release.pack import pack_release
from director.release.release_manifest import ReleaseManifest, write_release_manifest


def trim(tarball: Path, target: Path, known: Collection[str]) -> None:
    """Write ``tarball`` to ``target`` without the packages whose fingerprints are ``known``.

    Raises ReleaseInvalid if it is no release.
    """
    manifest = read_manifest(tarball)
    drop = _archives(manifest, known)
    members: dict[str, Path] = {}
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".trim-") as scratch,
        tarball.open("rb") as stream,
    ):
        for number, member in enumerate(
            read_archive(stream, what=f"'{tarball.name}'", invalid=ReleaseInvalid)
        ):
            if member.kind != "file" or member.name == "release.MF" or member.name in drop:
                continue
            place = Path(scratch) / str(number)
            with place.open("wb") as part:
                while chunk := member.content.read(1 << 20):
                    part.write(chunk)
            members[member.name] = place
        pack_release(write_release_manifest(manifest), members, target)


def _archives(manifest: ReleaseManifest, known: Collection[str]) -> set[str]:
    return {
        f"{kind}/{entry.name}.tgz"
        for kind, entries in (
            ("packages", manifest.packages),
            ("compiled_packages", manifest.compiled_packages),
        )
        for entry in entries
        if entry.fingerprint in known
    }

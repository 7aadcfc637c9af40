"""Stemcell tarballs: opened, and refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from director.model.errors import DigestMismatch, StemcellInvalid
from director.stemcell.open_stemcell import open_stemcell

DIGEST = hashlib.sha256(b"image").hexdigest()
MANIFEST = f"""
name: little
version: '1.10'
operating_system: debian-12
sha1: sha256:{DIGEST}
api_version: 3
stemcell_formats: [director-rootfs]
cloud_properties: {{infrastructure: local}}
"""


def tarball(tmp_path: Path, **files: bytes) -> Path:
    path = tmp_path / "s.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo("./" + name.replace("stemcell", "stemcell.MF"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_a_stemcell_opens(tmp_path: Path) -> None:
    path = tarball(tmp_path, stemcell=MANIFEST.encode(), image=b"image")
    opened = open_stemcell(path, tmp_path)
    assert (opened.name, opened.version, opened.operating_system) == ("little", "1.10", "debian-12")
    assert opened.image.read_bytes() == b"image"
    assert opened.formats == ("director-rootfs",)
    assert opened.cloud_properties == {"infrastructure": "local"}


def test_a_light_stemcell_has_an_empty_image(tmp_path: Path) -> None:
    opened = open_stemcell(tarball(tmp_path, stemcell=MANIFEST.encode(), image=b""), tmp_path)
    assert opened.image.stat().st_size == 0


def test_the_operating_system_may_be_the_name(tmp_path: Path) -> None:
    path = tarball(tmp_path, stemcell=b"name: bosh-x-ubuntu\nversion: 1\n", image=b"image")
    assert open_stemcell(path, tmp_path).operating_system == "bosh-x-ubuntu"


@pytest.mark.parametrize(
    ("manifest", "image", "words"),
    [
        (MANIFEST.encode(), None, "has no 'image'"),
        (None, b"image", "has no 'stemcell.MF'"),
        (b"name: a", b"image", "needs 'version'"),
        (b"name: ../a\nversion: 1", b"image", "needs 'name'"),
        (b"- a", b"image", "must be a mapping"),
        (b"a: [", b"image", "is not YAML"),
        (b"a: &a {}\nb: *a", b"image", "aliases"),
        (b"name: a\nversion: 1\ncloud_properties: 3", b"image", "a mapping"),
        (b"\xff", b"image", "cannot be read"),
        (b" " * 100_001, b"image", "longer than"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, manifest: bytes | None, image: bytes | None, words: str
) -> None:
    files = {"stemcell": manifest, "image": image}
    path = tarball(tmp_path, **{name: text for name, text in files.items() if text is not None})
    with pytest.raises(StemcellInvalid, match=words):
        open_stemcell(path, tmp_path)


def test_another_image(tmp_path: Path) -> None:
    path = tarball(tmp_path, stemcell=MANIFEST.encode(), image=b"other")
    with pytest.raises(DigestMismatch, match="the image of stemcell 'little'"):
        open_stemcell(path, tmp_path)

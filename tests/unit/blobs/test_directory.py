"""Blobs are named by their content, appear whole, and never leave their directory."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from director.blobs.directory import DirectoryBlobs
from director.model.errors import BlobNotFound
from director.model.ids import BlobId


def test_a_blob_comes_back(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    assert list(blobs.list()) == []
    id = blobs.put(io.BytesIO(b"content"))
    assert id == hashlib.sha256(b"content").hexdigest()
    with blobs.open(id) as stream:
        assert stream.read() == b"content"
    assert blobs.exists(id)
    assert list(blobs.list()) == [id]
    blobs.delete(id)
    blobs.delete(id)
    assert not blobs.exists(id)
    with pytest.raises(BlobNotFound):
        blobs.open(id)


def test_putting_again_mends_a_damaged_file(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    id = blobs.put(io.BytesIO(b"content"))
    Path(blobs.path(id)).write_bytes(b"damaged")
    assert blobs.put(io.BytesIO(b"content")) == id
    assert Path(blobs.path(id)).read_bytes() == b"content"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        DirectoryBlobs(tmp_path).put(Broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_an_id_is_never_a_path(tmp_path: Path, id: str) -> None:
    blobs = DirectoryBlobs(tmp_path)
    assert not blobs.exists(BlobId(id))
    for act in (blobs.open, blobs.path, blobs.delete):
        with pytest.raises(BlobNotFound):
            act(BlobId(id))

"""Blobs: fetched once, verified always."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from director.model.errors import DigestMismatch, ReleaseInvalid
from director.release.blobs_fetch import fetch_blobs, read_blobs

DIGEST = "sha256:" + hashlib.sha256(b"content").hexdigest()


def release(tmp_path: Path, blobs: str) -> Path:
    (tmp_path / "r" / "config").mkdir(parents=True)
    (tmp_path / "r" / "config" / "blobs.yml").write_text(blobs)
    (tmp_path / "elsewhere").write_bytes(b"content")
    (tmp_path / "wrong").write_bytes(b"other")
    return tmp_path / "r"


def test_a_file_is_fetched_and_kept_in_the_cache(tmp_path: Path) -> None:
    root = release(
        tmp_path,
        f"a/b: {{size: 7, sha: '{DIGEST}', sources: [{{file: ../wrong}}, {{file: ../elsewhere}}]}}",
    )
    said: list[str] = []
    fetch_blobs(root, cache=tmp_path / "cache", on_progress=said.append)
    assert (root / "blobs/a/b").read_bytes() == b"content"
    assert said == ["fetching blob a/b"]
    fetch_blobs(root, on_progress=said.append)
    (tmp_path / "elsewhere").unlink()
    (root / "blobs/a/b").write_bytes(b"damaged")
    fetch_blobs(root, cache=tmp_path / "cache", on_progress=said.append)
    assert (root / "blobs/a/b").read_bytes() == b"content"
    assert said == ["fetching blob a/b"]


@pytest.mark.parametrize(
    ("sources", "error", "words"),
    [
        ("[{file: ../wrong}]", DigestMismatch, "blob 'a' has sha256"),
        ("[{file: ../nothing}]", ReleaseInvalid, "No such file"),
        ("[{url: 'ftp://x/y'}]", ReleaseInvalid, "is not an http or https URL"),
        ("[{url: 'file:///etc/passwd'}]", ReleaseInvalid, "is not an http or https URL"),
        ("[{git: x}]", ReleaseInvalid, "must have 'file', 'url' or 'debian'"),
        ("[]", ReleaseInvalid, "names no sources"),
        ("[{file: ../wrong}, {file: ../nothing}]", ReleaseInvalid, "(?s)has sha256.*No such file"),
    ],
)
def test_why_it_cannot_be_fetched(
    tmp_path: Path, sources: str, error: type[Exception], words: str
) -> None:
    root = release(tmp_path, f"a: {{sha: '{DIGEST}', sources: {sources}}}")
    with pytest.raises(error, match=words):
        fetch_blobs(root)
    assert list((root / "blobs").iterdir()) == []


@pytest.mark.parametrize(
    "blobs",
    [
        "a: 1",
        "a: {size: 1}",
        "a: {sha: x}",
        f"../a: {{sha: '{DIGEST}'}}",
        f"/a: {{sha: '{DIGEST}'}}",
        f"a: {{sha: '{DIGEST}', sources: x}}",
    ],
)
def test_a_malformed_list(tmp_path: Path, blobs: str) -> None:
    with pytest.raises(ReleaseInvalid):
        read_blobs(release(tmp_path, blobs))

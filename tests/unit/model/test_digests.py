"""Multi-digests: the strongest part decides."""

from __future__ import annotations

import hashlib
import io

import pytest

from director.model.digests import multi_digest, strongest, verify
from director.model.errors import DigestMismatch

SHA1 = hashlib.sha1(b"content").hexdigest()
SHA256 = hashlib.sha256(b"content").hexdigest()


def test_a_digest_names_sha1_and_sha256() -> None:
    assert multi_digest(io.BytesIO(b"content")) == f"{SHA1};sha256:{SHA256}"


def test_the_strongest_decides() -> None:
    assert strongest(f"sha256:{SHA256};{SHA1}") == ("sha256", SHA256)
    assert strongest(f"sha1:{SHA1}") == strongest(SHA1) == ("sha1", SHA1)
    verify(io.BytesIO(b"content"), f"{'0' * 40};sha256:{SHA256}", what="it")


@pytest.mark.parametrize(
    "digest",
    [
        f"sha256:{'0' * 64}",
        f"{SHA1};sha256:{'0' * 64}",
        "0" * 40,
        "",
        "md5:1",
        "sha256:12",
        "x" * 40,
    ],
)
def test_others_do_not_match(digest: str) -> None:
    with pytest.raises(DigestMismatch, match="it has"):
        verify(io.BytesIO(b"content"), digest, what="it")

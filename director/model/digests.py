"""BOSH's multi-digests: ``sha1hex;sha256:hex``, several digests of one file in one string.

A bare hexadecimal digest is a sha1; the others say their algorithm. The strongest counts.
"""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO

from director.model.errors import DigestMismatch

_STRENGTH = ("sha512", "sha256", "sha1")
_LENGTH = {"sha1": 40, "sha256": 64, "sha512": 128}
_CHUNK = 1 << 20


def multi_digest(stream: BinaryIO) -> str:
    """Return the multi-digest of the rest of ``stream``: its sha1 and its sha256."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    sha256 = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        sha1.update(chunk)
        sha256.update(chunk)
    return f"{sha1.hexdigest()};sha256:{sha256.hexdigest()}"


def strongest(digest: str) -> tuple[str, str]:
    """Return (algorithm, hexadecimal digest) of the strongest part of a multi-digest.

    Raises ValueError if it has no part of a known algorithm or a part is malformed.
    """
    parts: dict[str, str] = {}
    for part in str(digest).strip().split(";"):
        algorithm, _, value = part.strip().rpartition(":")
        algorithm = algorithm or "sha1"
        length = _LENGTH.get(algorithm)
        if length is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
            raise ValueError(f"'{part}' is not a {algorithm} digest")
        parts[algorithm] = value.lower()
    for algorithm in _STRENGTH:
        if algorithm in parts:
            return algorithm, parts[algorithm]
    raise ValueError(f"'{digest}' names no digest this director knows ({', '.join(_STRENGTH)})")


def verify(stream: BinaryIO, digest: str, *, what: str) -> None:
    """Read the rest of ``stream``; raise DigestMismatch unless it has this digest.

    ``what`` names the content in the error (``package 'redis'``).
    """
    try:
        algorithm, wanted = strongest(digest)
    except ValueError as error:
        raise DigestMismatch(
            f"{what} has a digest nobody can check: {error}",
            fix="write it as sha256:<hexadecimal> (or sha512:, or a bare sha1)",
        ) from error
    found = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    if found.hexdigest() != wanted:
        raise DigestMismatch(
            f"{what} has {algorithm} {found.hexdigest()} instead of {wanted}",
            fix="get it again; if it was changed on purpose, correct the digest",
        )

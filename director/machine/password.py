"""Passwords as /etc/shadow has them: SHA-512 crypt, the kind BOSH's ``env.bosh.password`` is."""

from __future__ import annotations

import hashlib
import re

_ROUNDS = 5000
_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT = re.compile(r"[./0-9A-Za-z]{1,16}")


def sha512_crypt(password: str, salt: str) -> str:
    """Return the hash of ``password``: ``$6$SALT$...``; ``salt`` are 1 to 16 of ``[./0-9A-Za-z]``.

    Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", 5,000 rounds.
    """
    if not _SALT.fullmatch(salt):
        raise ValueError("a salt has 1 to 16 letters, digits, dots or slashes")
    key, seed = password.encode(), salt.encode()
    digest = _first(key, seed)
    by_key = _stretched(_sha(key * len(key)), len(key))
    by_salt = _stretched(_sha(seed * (16 + digest[0])), len(seed))
    for n in range(_ROUNDS):
        parts = [by_key if n & 1 else digest]
        if n % 3:
            parts.append(by_salt)
        if n % 7:
            parts.append(by_key)
        parts.append(digest if n & 1 else by_key)
        digest = _sha(b"".join(parts))
    return f"$6${salt}${_text(digest)}"


def _first(key: bytes, seed: bytes) -> bytes:
    alternate = _sha(key + seed + key)
    text = key + seed + _stretched(alternate, len(key))
    bits = len(key)
    while bits:
        text += alternate if bits & 1 else key
        bits >>= 1
    return _sha(text)


def _sha(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // 64 + 1))[:length]


def _text(digest: bytes) -> str:
    """Return the digest in crypt's own order of bytes and letters, six bits each, lowest first."""
    places = [(n * 22 % 63, (n * 22 + 21) % 63, (n * 22 + 42) % 63) for n in range(21)]
    groups = [(digest[a] << 16 | digest[b] << 8 | digest[c], 4) for a, b, c in places]
    groups.append((digest[63], 2))
    return "".join(_ALPHABET[bits >> 6 * n & 63] for bits, count in groups for n in range(count))

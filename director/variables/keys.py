"""Keys, and what holds for a new credential where its options say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_LENGTHS = (2048, 3072, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds where the options say nothing."""

    password_length: int
    password_alphabet: str
    key_length: int = 2048
    certificate_days: int = 365


def new_key(length: int) -> RSAPrivateKey:
    """Return a new RSA key of ``length`` bits."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=length)


def private_pem(key: RSAPrivateKey) -> str:
    """Return a private key as BOSH's generators write it: PKCS #1, unencrypted."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()

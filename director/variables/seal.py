"""Encryption at rest: AES-256-GCM. A variable's value is bound to the variable's name and id."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from director.model.errors import SettingsError, VariableError

_VERSION = b"\x01"
_NONCE_BYTES = 12
_SEALED = "sealed:"
_TEXT = b"text"


def seal(value: Any, *, key: bytes, name: str, id: str) -> bytes:
    """Return ``value`` (JSON data) encrypted with the 32 bytes ``key``."""
    return _encrypt(json.dumps(value).encode(), key, _bound(name, id))


def unseal(sealed: bytes, *, key: bytes, name: str, id: str) -> Any:
    """Return the value :func:`seal` was given; raises VariableError for another key or name."""
    try:
        return json.loads(_decrypt(sealed, key, _bound(name, id)))
    except ValueError:
        raise VariableError(
            f"the stored value of variable '{name}' cannot be decrypted with the director's key",
            fix="put back the key file the director had when it generated the variable",
        ) from None


def seal_text(text: str, *, key: bytes) -> str:
    """Return ``text`` encrypted, as a text that :func:`unseal_text` knows by its beginning."""
    return _SEALED + base64.b64encode(_encrypt(text.encode(), key, _TEXT)).decode()


def unseal_text(sealed: str, *, key: bytes) -> str:
    """Return the text :func:`seal_text` was given, and any other text as it is.

    Raises SettingsError for another key.
    """
    if not sealed.startswith(_SEALED):
        return sealed
    try:
        return _decrypt(base64.b64decode(sealed[len(_SEALED) :]), key, _TEXT).decode()
    except ValueError:
        raise SettingsError(
            "what the director stored cannot be decrypted with its key 'keys/variables'",
            fix="put back the file 'keys/variables' that the home directory had before",
        ) from None


def _encrypt(text: bytes, key: bytes, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, text, bound)


def _decrypt(sealed: bytes, key: bytes, bound: bytes) -> bytes:
    """Return what was encrypted; raises ValueError for another key, another place, other bytes."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    version, nonce = sealed[:1], sealed[1 : 1 + _NONCE_BYTES]
    if version != _VERSION:
        raise ValueError(f"version {version!r}")
    try:
        return AESGCM(key).decrypt(nonce, sealed[1 + _NONCE_BYTES :], bound)
    except InvalidTag as error:
        raise ValueError("the key does not fit") from error


def _bound(name: str, id: str) -> bytes:
    return f"{name}\0{id}".encode()

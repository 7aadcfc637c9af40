"""What of a request, an answer or a CPI's chatter may be shown: never a secret's value.

A value is secret when its key says so, or when it looks like a private key or a long random token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

REDACTED = "<redacted>"
_DEEPEST = 64
_SHORTEST = 4
"""A shorter secret is not hunted for in free text: without its letters that says nothing."""

_SECRET_KEY = re.compile(
    r"passw|passphrase|pwd|secret|credential|token|sensitive|user_?data|connection_?string"
    r"|(?:private|api|access|account|shared|signing)_?keys?|[a-z0-9]_key$|^key$"
)
_SHOWN_KEY = re.compile(
    r"public_?keys?|authorized_keys|credentials_source|http_tokens|(?:^|_)(?:kms|cmk)_key"
    r"|_key_(?:name|pair|path|file)$"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY")
_RANDOM = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/_=-]{32,}")
_IN_URL = re.compile(r"(?<=://)[^/@\s\"']+(?=@)")


def redacted(data: Any) -> Any:
    """Return a copy of JSON data with every secret value replaced by ``<redacted>``.

    Mappings and lists keep their shape and keys; below a secret key every text and number is
    replaced. What is nested too deep to be meant well is replaced as a whole.
    """
    return _copy(data, secret=False, depth=0)


def secrets_in(*data: Any) -> frozenset[str]:
    """Return the texts that :func:`redacted` would replace, to be hidden elsewhere.

    A text of several lines counts line by line too, because logs are cut into lines.
    """
    return frozenset(text for one in data for text in _secrets(one, secret=False, depth=0))


def hide(text: str, secrets: frozenset[str]) -> str:
    """Return ``text`` without these secrets and without logins in URLs."""
    for secret in sorted(secrets, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, REDACTED)
    return _IN_URL.sub(REDACTED, text)


def _copy(data: Any, *, secret: bool, depth: int) -> Any:
    if depth > _DEEPEST:
        return REDACTED
    if isinstance(data, Mapping):
        return {
            key: _copy(value, secret=_below(str(key), secret), depth=depth + 1)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [_copy(item, secret=secret, depth=depth + 1) for item in data]
    if data is None or isinstance(data, bool):
        return data
    if secret or (isinstance(data, str) and _looks_secret(data)):
        return REDACTED
    return _IN_URL.sub(REDACTED, data) if isinstance(data, str) else data


def _secrets(data: Any, *, secret: bool, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _secrets(value, secret=_below(str(key), secret), depth=depth + 1)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _secrets(item, secret=secret, depth=depth + 1)
    elif secret and isinstance(data, int | float) and not isinstance(data, bool):
        yield from _forms(str(data))
    elif isinstance(data, str) and (secret or _looks_secret(data)):
        yield from _forms(data)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, as JSON writes it, and its lines."""
    for text in (secret, json.dumps(secret)[1:-1], *secret.splitlines()):
        if len(text.strip()) >= _SHORTEST and not text.startswith("-----"):
            yield text.strip()


def _below(key: str, secret: bool) -> bool:
    name = key.lower().replace("-", "_")
    if _SHOWN_KEY.search(name):
        return False
    return secret or bool(_SECRET_KEY.search(name))


def _looks_secret(text: str) -> bool:
    return bool(_PRIVATE_KEY.search(text) or _RANDOM.fullmatch(text))

"""The keys of SSH: a machine's own, made before the machine, and the director's to log in with."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from director.model.errors import DirectorError


class KeyFileError(DirectorError):
    """The file with the director's login key cannot be read or written."""

    code = 450003
    status = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKey:
    """A key a machine's sshd shall present; both parts are OpenSSH text."""

    private_key: str = field(repr=False)
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginKey:
    """The key the director logs in with; both parts are OpenSSH text."""

    private_key: str = field(repr=False)
    public_key: str


def new_host_key() -> HostKey:
    """Make a new ed25519 key for one machine."""
    private, public = _new_pair("director-machine")
    return HostKey(private_key=private, public_key=public)


def fingerprint(public_key: str) -> str:
    """Return an OpenSSH public key's fingerprint as ssh shows it: ``SHA256:...``."""
    digest = hashlib.sha256(base64.b64decode(public_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def load_or_make_login_key(path: Path) -> LoginKey:
    """Return the login key kept in ``path``; the first caller makes it (mode 0600).

    Two processes that call it at once get the same key. Raises KeyFileError.
    """
    try:
        if not path.exists():
            _write_once(path, _new_pair("director")[0])
        text = path.read_text()
    except OSError as error:
        raise KeyFileError(
            f"the login key '{path}' cannot be used: {error.strerror}",
            fix="give the director's user the right to read and write its home directory",
        ) from error
    return LoginKey(private_key=text, public_key=_public_part(text, path))


def _write_once(path: Path, text: str) -> None:
    # Linking a complete file into place makes the first writer win: nobody sees half a key, and
    # nobody replaces a key that machines were already made with.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def _new_pair(comment: str) -> tuple[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private.decode(), f"{public.decode()} {comment}"


def _public_part(text: str, path: Path) -> str:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(text.encode(), password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
    except (ValueError, TypeError) as error:
        raise KeyFileError(
            f"the login key '{path}' is not an OpenSSH private key without passphrase",
            fix="restore the file; without it the director cannot log in to its machines",
        ) from error
    return f"{public.decode()} director"

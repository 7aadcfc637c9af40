"""Ways to a director: a unix socket, or https to where it runs. Neither connects before its use.

Made from the standard library's HTTP client, because a command's start is most of its time and
the richer ones take a tenth of a second to import.
"""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from director.model.errors import UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

DEFAULT_PORT = 25555
CONNECT_S = 10.0
ANSWER_S = 600.0
"""How long one read or write may take."""


class SocketConnection(HTTPConnection):
    """HTTP over a unix socket.

    The socket is addressed through its folder's file descriptor, because a socket's address holds
    no more than 107 bytes and a home directory may be deeper than that.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("director")
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = -1
        try:
            folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            connection.settimeout(CONNECT_S)
            connection.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        except BaseException:
            connection.close()
            raise
        finally:
            if folder >= 0:
                os.close(folder)
        connection.settimeout(ANSWER_S)
        self.sock = connection


class UrlConnection(HTTPSConnection):
    """HTTP over TLS, with other patience for connecting than for the answer."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(ANSWER_S)


def url_connection(url: str, ca_cert: str | None) -> UrlConnection:
    """Return a connection to a director's URL, as :func:`director_url` gives it.

    ``ca_cert`` is a path or the PEM text itself; without it the system's roots are trusted.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    return UrlConnection(
        parts.hostname, parts.port or DEFAULT_PORT, timeout=CONNECT_S, context=_trust(ca_cert)
    )


def director_url(address: str) -> str:
    """Return ``address`` as an https URL with a port; raises UsageError for anything else."""
    parts = urlsplit(address if "//" in address else f"//{address}", scheme="https")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        port = 0
    if parts.scheme != "https" or not parts.hostname or not port:
        raise UsageError(
            f"environment '{address}' is not the address of a director",
            fix="give a host name, host:port or an https:// URL with -e",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}:{port}{parts.path.rstrip('/')}"


def _trust(ca_cert: str | None) -> SSLContext:
    import ssl

    if not ca_cert:
        return ssl.create_default_context()
    try:
        if "-----BEGIN" in ca_cert:
            return ssl.create_default_context(cadata=ca_cert)
        return ssl.create_default_context(cafile=ca_cert)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the CA certificate cannot be read: {error}",
            fix="give --ca-cert (or BOSH_CA_CERT) a readable PEM file, or the PEM text itself",
        ) from error

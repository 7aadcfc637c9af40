"""Whether a machine's sshd answers, and by which name the reason goes when it does not."""

from __future__ import annotations

import errno
import socket

NO_ROUTE = "no route to the machine"
PORT_CLOSED = "port closed: the machine is up and sshd is not"
TIMEOUT = "timeout: nothing answers at this address"
BOOTING = "still booting: the port is open and sshd says nothing"
CLOSED = "the connection was closed by the machine"


def cause_of(error: OSError) -> str:
    """Return the name of what made a connection fail."""
    if isinstance(error, TimeoutError):
        return TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return PORT_CLOSED
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN):
        return NO_ROUTE
    if isinstance(error, ConnectionError):
        return CLOSED
    if isinstance(error, socket.gaierror):
        return "the address cannot be looked up"
    return error.strerror or str(error) or type(error).__name__


def probe(address: str, port: int = 22, timeout_s: float = 2.0) -> str | None:
    """Return None if an SSH server answers at ``address``, else why not; no login is tried."""
    try:
        with socket.create_connection((address, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            try:
                greeting = connection.recv(256)
            except TimeoutError:
                return BOOTING
    except OSError as error:
        return cause_of(error)
    if not greeting:
        return CLOSED
    return None if greeting.startswith(b"SSH-") else "what answers at this port is not sshd"

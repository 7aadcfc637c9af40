"""One verified SSH connection to one machine, with as many channels as are asked for."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import io
import logging
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from director.machine.host_keys import LoginKey
from director.machine.reachable import BOOTING, CLOSED, cause_of
from director.model.errors import MachineError, MachineUnreachable

if TYPE_CHECKING:
    from paramiko import Channel
    from paramiko import Transport as SshTransport

_log = logging.getLogger(__name__)

_WINDOW = 16 * 1024 * 1024
_PACKET = 32 * 1024
_KEEPALIVE_S = 15
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""
_KEY_EXCHANGES = ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256")
_SIGNATURES: Mapping[str, Sequence[str]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""The kinds of host keys, the best first, and how each may sign."""
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")


class Transport:
    """An authenticated connection; made once, closed once, usable from several threads.

    Making one connects: the host key must be exactly ``host_public_key`` (OpenSSH text) before
    anything else is said. Raises MachineUnreachable with the cause by name.
    """

    def __init__(
        self,
        address: str,
        port: int = 22,
        *,
        host_public_key: str,
        login_key: LoginKey,
        user: str = "root",
        timeout_s: float = 5.0,
    ) -> None:
        self.name = f"{user}@{address}:{port}" if port != 22 else f"{user}@{address}"
        self.user = user
        kind, expected = _key_parts(host_public_key, self.name)
        self._ssh = _negotiated(
            _connected(address, port, timeout_s, self.name), self.name, _SIGNATURES[kind]
        )
        try:
            _verify_host(self._ssh, expected, self.name)
            _log_in(self._ssh, user, login_key, self.name)
        except BaseException:
            self._ssh.close()
            raise
        self._ssh.set_keepalive(_KEEPALIVE_S)

    @property
    def alive(self) -> bool:
        """Whether the connection was still there when last heard of."""
        return self._ssh.is_active()

    def open_session(self) -> Channel:
        """Open a channel for one command; raises MachineUnreachable when the connection is dead."""
        channel = self._open("session", None)
        assert channel is not None
        return channel

    def open_tcp(self, port: int) -> Channel | None:
        """Open a stream to ``port`` on the machine's loopback; None if nothing listens there."""
        return self._open("direct-tcpip", ("127.0.0.1", port))

    def _open(self, kind: str, destination: tuple[str, int] | None) -> Channel | None:
        import paramiko

        try:
            return self._ssh.open_channel(
                kind,
                dest_addr=destination,
                src_addr=("127.0.0.1", 0) if destination else None,
                timeout=15,
            )
        except paramiko.ChannelException as error:
            if destination is not None and error.code == 2:
                return None
            raise MachineError(
                f"{self.name}: sshd refuses a {kind} channel: {error.text}",
                fix="allow TCP forwarding and at least 10 sessions in the stemcell's sshd_config",
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            raise _unreachable(self.name, "connection lost") from error

    def close(self) -> None:
        """End the connection and all its channels; may be called again."""
        self._ssh.close()


def seen_host_key(address: str, port: int = 22, timeout_s: float = 5.0) -> str:
    """Return the host key a machine shows, as OpenSSH text; nobody vouches for it, and no login is
    tried. Raises MachineUnreachable."""
    name = f"{address}:{port}"
    every = [signature for signatures in _SIGNATURES.values() for signature in signatures]
    ssh = _negotiated(_connected(address, port, timeout_s, name), name, every)
    try:
        key = ssh.get_remote_server_key()
        return f"{key.get_name()} {key.get_base64()}"
    finally:
        ssh.close()


def _connected(address: str, port: int, timeout_s: float, name: str) -> socket.socket:
    try:
        return _Prompt(socket.create_connection((address, port), timeout=timeout_s))
    except OSError as error:
        raise _unreachable(name, cause_of(error)) from error


class _Prompt(socket.socket):
    """A connection whose answers wait for nobody, taken over from a connected socket.

    After the login sshd writes twice in a row. Without an acknowledgement of the first it holds the
    second back, and the kernel here would wait 40 ms for something to send it with. The kernel
    forgets that it shall not, so it is told again at each read.
    """

    def __init__(self, connected: socket.socket) -> None:
        timeout = connected.gettimeout()
        super().__init__(fileno=connected.detach())
        self.settimeout(timeout)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        received = super().recv(size, flags)
        if _QUICKACK is not None:
            with contextlib.suppress(OSError):
                self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return received


def _negotiated(connection: socket.socket, name: str, signatures: Sequence[str]) -> SshTransport:
    import paramiko

    try:
        ssh = paramiko.Transport(
            connection, default_window_size=_WINDOW, default_max_packet_size=_PACKET
        )
    except BaseException:
        connection.close()
        raise
    _quieten(ssh)
    options = ssh.get_security_options()
    options.kex = [k for k in _KEY_EXCHANGES if k in options.kex]
    options.key_types = [s for s in signatures if s in options.key_types]
    options.ciphers = [c for c in _CIPHERS if c in options.ciphers]
    ssh.banner_timeout = 10
    ssh.auth_timeout = 15
    try:
        ssh.start_client(timeout=15)
    except (paramiko.SSHException, EOFError, OSError) as error:
        ssh.close()
        raise _unreachable(name, _negotiation_cause(error)) from error
    return ssh


def _negotiation_cause(error: Exception) -> str:
    import paramiko

    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return (
            "host key or algorithms do not fit: the machine has no host key of the kind the "
            "director knows it by, or an sshd too old"
        )
    if isinstance(error, paramiko.SSHException) and "banner" in str(error):
        return BOOTING
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return cause_of(error)
    return CLOSED if isinstance(error, EOFError) else str(error) or type(error).__name__


def _verify_host(ssh: SshTransport, expected: bytes, name: str) -> None:
    shown = ssh.get_remote_server_key().asbytes()
    if not hmac.compare_digest(shown, expected):
        raise _unreachable(
            name,
            "host key mismatch: what answers is not the machine the director made",
            fix="find out which machine has this address; recreate the instance if it lost its key",
        )


def _log_in(ssh: SshTransport, user: str, login_key: LoginKey, name: str) -> None:
    import paramiko

    key = paramiko.Ed25519Key.from_private_key(io.StringIO(login_key.private_key))
    try:
        ssh.auth_publickey(user, key)
    except paramiko.AuthenticationException as error:
        raise _unreachable(
            name,
            "authentication failed: the machine does not accept the director's login key",
            fix="recreate the instance, so that the login key is put into it again",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _unreachable(name, CLOSED) from error


def _unreachable(name: str, cause: str, fix: str | None = None) -> MachineUnreachable:
    return MachineUnreachable(f"cannot reach {name}: {cause}", fix=fix)


def _key_parts(public_key: str, name: str) -> tuple[str, bytes]:
    """Return a recorded key's kind and the bytes the machine has to show."""
    words = public_key.split()
    try:
        if len(words) < 2 or words[0] not in _SIGNATURES:
            raise ValueError("no kind of key the director knows")
        blob = base64.b64decode(words[1], validate=True)
        if not blob.startswith(len(words[0]).to_bytes(4, "big") + words[0].encode()):
            raise ValueError("a key of another kind")
        return words[0], blob
    except (ValueError, binascii.Error) as error:
        raise _unreachable(
            name,
            "its recorded host key is not an SSH public key"
            if public_key
            else "nobody has seen its host key yet",
        ) from error


def _quieten(ssh: SshTransport) -> None:
    # paramiko reports ordinary failures as errors with a traceback. Every one of them reaches the
    # caller as an exception too, so its own lines are of use to a developer only.
    channel = f"{__name__}.paramiko"
    logger = logging.getLogger(channel)
    if not any(isinstance(f, _OnlyWhenDebugging) for f in logger.filters):
        logger.addFilter(_OnlyWhenDebugging())
    ssh.set_log_channel(channel)


class _OnlyWhenDebugging(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if not _log.isEnabledFor(logging.DEBUG):
            return False
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return True

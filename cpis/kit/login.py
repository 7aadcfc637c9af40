"""Keys for trial VMs, and logging in with them: host key verified, one command at a time."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpis.contract import CloudError, Networks

if TYPE_CHECKING:
    import paramiko

_COMMAND_TIMEOUT_S = 60.0


class Login:
    """A new login key and a new host key, as ``env`` carries them.

    ``boot_timeout_s`` is how long a VM may take until its sshd answers.
    """

    def __init__(self, *, boot_timeout_s: float = 60.0) -> None:
        self._boot_timeout_s = boot_timeout_s
        self._login, public = _new_pair("director-cpi-test")
        host, self._host = _new_pair("director-cpi-test-vm")
        self.env: Mapping[str, Any] = {
            "bosh": {
                "authorized_keys": [public],
                "ssh_host_key": {"private_key": host, "public_key": self._host},
            }
        }

    def run(self, networks: Networks, user: str, command: str) -> str:
        """Return what a command printed on the VM with these networks, waiting for its sshd.

        Raises CloudError where the VM does not answer, or answers with another host key.
        """
        import paramiko

        address = str(next(iter(networks.values())).get("ip") or "")
        deadline = time.monotonic() + self._boot_timeout_s
        while True:
            try:
                transport = self._connect(address, user)
                break
            except (OSError, EOFError, paramiko.SSHException) as error:
                # A VM that boots closes the port, then the connection, then knows no key yet.
                if time.monotonic() > deadline:
                    waited = f"{self._boot_timeout_s:g} s"
                    raise CloudError(
                        f"'{user}' cannot log in at '{address}' within {waited}: {error}",
                        fix="see that this host reaches the address, and what the console says",
                    ) from error
            time.sleep(0.05)
        try:
            channel = transport.open_session()
            channel.settimeout(_COMMAND_TIMEOUT_S)
            channel.exec_command(command)
            with channel.makefile("rb") as output:
                return bytes(output.read()).decode(errors="replace")
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise CloudError(f"the connection to '{address}' broke: {error}") from error
        finally:
            transport.close()

    def _connect(self, address: str, user: str) -> paramiko.Transport:
        import paramiko

        transport = paramiko.Transport(socket.create_connection((address, 22), timeout=5))
        try:
            transport.start_client(timeout=15)
            shown = transport.get_remote_server_key().get_base64()
            if shown != self._host.split()[1]:
                raise CloudError(f"the VM at '{address}' does not show the host key it was given")
            key = paramiko.Ed25519Key.from_private_key(io.StringIO(self._login))
            transport.auth_publickey(user, key)
        except BaseException:
            transport.close()
            raise
        return transport


def _new_pair(comment: str) -> tuple[str, str]:
    """Return a new ed25519 key as OpenSSH text: the private part, the public part."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, f"{public} {comment}"

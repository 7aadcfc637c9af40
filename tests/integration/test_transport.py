"""Connecting to an SSH server on loopback, and every way it can fail."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import paramiko
import pytest

from director.machine.host_keys import HostKey, LoginKey, new_host_key
from director.machine.reachable import BOOTING, PORT_CLOSED, probe
from director.machine.session import run_on
from director.machine.ssh_machine import SshMachine
from director.machine.transport import Transport, seen_host_key
from director.model.errors import MachineError, MachineUnreachable


def never() -> bool:
    return False


def private(key: HostKey | LoginKey) -> paramiko.PKey:
    import io

    return paramiko.Ed25519Key.from_private_key(io.StringIO(key.private_key))


class _Rules(paramiko.ServerInterface):
    def __init__(self, login: str) -> None:
        self._login = login

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "root" and key.get_base64() == self._login.split()[1]
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        refused = paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        return paramiko.OPEN_SUCCEEDED if kind == "session" else refused

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_execute, args=(channel, command), daemon=True).start()
        return True


def _execute(channel: paramiko.Channel, command: bytes) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command.decode()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    with contextlib.suppress(OSError, EOFError):
        channel.sendall(done.stdout)
        channel.sendall_stderr(done.stderr)
        channel.send_exit_status(done.returncode)
        channel.close()


@dataclass
class Server:
    """An SSH server on loopback, as far as the director needs one."""

    login: LoginKey
    host: HostKey = field(default_factory=new_host_key)
    shown: paramiko.PKey | None = None
    served: list[paramiko.Transport] = field(default_factory=list)
    port: int = 0

    def connect(self, **changes: object) -> Transport:
        wanted = {"host_public_key": self.host.public_key, "login_key": self.login, **changes}
        return Transport("127.0.0.1", self.port, **wanted)  # type: ignore[arg-type]


@pytest.fixture
def login() -> LoginKey:
    key = new_host_key()
    return LoginKey(private_key=key.private_key, public_key=key.public_key)


@pytest.fixture
def server(login: LoginKey) -> Iterator[Server]:
    made = Server(login=login)
    listener = socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                transport = paramiko.Transport(connection)
                transport.set_log_channel("director.machine.transport.paramiko")
                transport.add_server_key(made.shown or private(made.host))
                made.served.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(event=threading.Event(), server=_Rules(login.public_key))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield made
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    for transport in made.served:
        transport.close()
        transport.join(5)


def test_a_verified_connection_runs_commands(server: Server) -> None:
    transport = server.connect()
    try:
        done = run_on(
            transport.open_session(), "echo a; echo b >&2; exit 3", name="m", cancelled=never
        )
    finally:
        transport.close()
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"a\n", b"b\n")


def test_another_host_key_is_refused_before_anything_is_said(server: Server) -> None:
    with pytest.raises(MachineUnreachable, match="host key mismatch"):
        server.connect(host_public_key=new_host_key().public_key)
    assert not server.served[-1].is_authenticated()


def test_the_shown_key_is_seen_without_a_login(server: Server) -> None:
    assert server.host.public_key.startswith(seen_host_key("127.0.0.1", server.port) + " ")
    assert not server.served[-1].is_authenticated()


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(paramiko.RSAKey.generate(2048), id="rsa"),
        pytest.param(paramiko.ECDSAKey.generate(bits=256), id="nistp256"),
        pytest.param(paramiko.ECDSAKey.generate(bits=521), id="nistp521"),
    ],
)
def test_a_pinned_key_of_another_kind_is_accepted_and_no_other(
    server: Server, shown: paramiko.PKey
) -> None:
    server.shown = shown
    pinned = seen_host_key("127.0.0.1", server.port)
    assert pinned == f"{shown.get_name()} {shown.get_base64()}"
    server.connect(host_public_key=pinned).close()
    server.shown = type(shown).generate(bits=shown.get_bits())
    with pytest.raises(MachineUnreachable, match="host key mismatch"):
        server.connect(host_public_key=pinned)
    assert not server.served[-1].is_authenticated()
    server.shown = None
    with pytest.raises(MachineUnreachable, match="no host key of the kind"):
        server.connect(host_public_key=pinned)


def test_another_login_key_is_refused(server: Server) -> None:
    other = new_host_key()
    key = LoginKey(private_key=other.private_key, public_key=other.public_key)
    with pytest.raises(MachineUnreachable, match="authentication failed"):
        server.connect(login_key=key)


def test_a_recorded_key_that_is_none_is_refused(server: Server) -> None:
    for text in ("ssh-rsa AAAA", "ssh-dss AAAA", "ssh-ed25519", "ssh-ed25519 AAAA====="):
        with pytest.raises(MachineUnreachable, match="host key is not"):
            server.connect(host_public_key=text)
    with pytest.raises(MachineUnreachable, match="nobody has seen its host key yet"):
        server.connect(host_public_key="")


def test_a_closed_port_is_named(login: LoginKey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(MachineUnreachable, match="port closed"):
        Transport("127.0.0.1", port, host_public_key=new_host_key().public_key, login_key=login)
    assert probe("127.0.0.1", port) == PORT_CLOSED


def test_a_silent_port_is_a_machine_that_boots() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert probe("127.0.0.1", listener.getsockname()[1], 0.1) == BOOTING


def test_another_service_is_not_sshd(login: LoginKey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            for _ in range(2):
                connection, _address = listener.accept()
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert probe("127.0.0.1", port) == "what answers at this port is not sshd"
        with pytest.raises(MachineUnreachable):
            Transport("127.0.0.1", port, host_public_key=new_host_key().public_key, login_key=login)
        thread.join(5)


def test_sshd_answers_the_probe(server: Server) -> None:
    assert probe("127.0.0.1", server.port) is None


def test_a_refused_tunnel_says_what_to_allow(server: Server) -> None:
    transport = server.connect()
    try:
        with pytest.raises(MachineError, match="allow TCP forwarding"):
            transport.open_tcp(2822)
    finally:
        transport.close()


def test_a_connection_that_died_is_made_again_once(server: Server) -> None:
    machine = SshMachine(server.connect)
    assert machine.state().spec_digest == ""
    server.served[-1].close()
    assert machine.state().spec_digest == ""
    assert len(server.served) == 2
    machine.close()


def test_paramiko_prints_nothing(
    server: Server, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(MachineUnreachable):
        server.connect(host_public_key=new_host_key().public_key)
    assert capfd.readouterr().err == ""
    assert caplog.records == []

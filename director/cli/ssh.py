"""SSH to instances with a temporary user: its key, the hosts' keys, and the commands to run.

The director makes the user on the instances and removes it afterwards; host keys come from the
director too, so that the first connection is verified.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from director.cli.session import Session
from director.cli.slugs import Target
from director.client.access import SshHost, clean_up_ssh, parse_hosts, set_up_ssh
from director.model.errors import DirectorError, UsageError

_ALIVE_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Hosts, and the options with which ``ssh`` and ``scp`` reach them."""

    hosts: Sequence[SshHost]
    user: str
    key: Path
    known_hosts: Path
    gateway: Sequence[str] = ()
    extra: Sequence[str] = field(default_factory=tuple)

    def options(self) -> list[str]:
        """Return the options of ``ssh`` and ``scp``."""
        return [
            *("-o", f"ServerAliveInterval={_ALIVE_S}"),
            *("-o", "ForwardAgent=no"),
            *("-o", "PasswordAuthentication=no"),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", f"IdentityFile={self.key}"),
            *("-o", "StrictHostKeyChecking=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "LogLevel=ERROR"),
            *self.gateway,
            *self.extra,
        ]

    def shell(self, host: SshHost, command: Sequence[str], *, tty: bool = False) -> list[str]:
        """Return the command line that runs ``command`` (or a login shell) on a host."""
        more = ["-tt"] if tty else []
        return ["ssh", *more, *self.options(), f"{self.user}@{host.address}", *command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did on one instance."""

    host: SshHost
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A host to go through; ``disabled`` ignores the one a director suggests."""

    user: str | None = None
    host: str | None = None
    key: str | None = None
    disabled: bool = False


@contextmanager
def access(
    session: Session, target: Target, *, gateway: Gateway, extra: Sequence[str] = ()
) -> Iterator[Access]:
    """Give a temporary user on the instances of ``target``, and remove it afterwards."""
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        raise UsageError("'ssh' is not installed", fix="install the package openssh-client")
    deployment = session.deployment()
    instance = session.full_id(target.group, target.instance)
    user = f"bosh_{secrets.token_hex(8)[:15]}"
    with tempfile.TemporaryDirectory(prefix="director-ssh-") as folder:
        key = Path(folder) / "key"
        public_key = make_key(key)
        task_id = set_up_ssh(
            session.http,
            deployment,
            group=target.group,
            instance=instance,
            user=user,
            public_key=public_key,
        )
        try:
            hosts = parse_hosts(session.result(task_id))
            known_hosts = Path(folder) / "known_hosts"
            known_hosts.write_text(known_hosts_text(hosts), encoding="utf-8")
            yield Access(
                hosts=hosts,
                user=user,
                key=key,
                known_hosts=known_hosts,
                gateway=gateway_options(gateway, hosts[0]),
                extra=extra,
            )
        finally:
            _remove_user(session, deployment, target.group, instance, user)


def make_key(path: Path) -> str:
    """Write a new private key to ``path`` (mode 0600) and return its public key."""
    try:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except subprocess.CalledProcessError as error:
        raise UsageError(f"no SSH key could be made: {error.stderr.decode().strip()}") from error
    return path.with_suffix(".pub").read_text(encoding="utf-8").strip() + "\n"


def known_hosts_text(hosts: Sequence[SshHost]) -> str:
    """Return the lines of a known_hosts file; one line a host, whatever its key holds."""
    return "".join(
        f"{host.address} {' '.join(host.host_public_key.split()[:2])}\n"
        for host in hosts
        if host.host_public_key
    )


def gateway_options(gateway: Gateway, first: SshHost) -> list[str]:
    """Return the options that go through a gateway: the given one, or the director's."""
    if gateway.disabled:
        return []
    host = gateway.host or first.gateway_host
    if not host:
        return []
    user = gateway.user or first.gateway_user or "vcap"
    proxy = ["ssh", "-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes"]
    if gateway.key:
        proxy += ["-o", f"IdentityFile={gateway.key}", "-o", "IdentitiesOnly=yes"]
    proxy += ["-W", "%h:%p", "-l", user, host]
    return ["-o", f"ProxyCommand={shlex.join(proxy)}"]


def interact(command: Sequence[str]) -> int:
    """Run a command on this terminal and return its exit code; Ctrl-C belongs to it alone."""
    # A handler, not SIG_IGN: what is ignored here would stay ignored in the command.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def run_everywhere(
    session: Session, commands: Sequence[tuple[SshHost, Sequence[str]]]
) -> list[Outcome]:
    """Run one command for each host, ``--parallel`` at a time, and collect what they write."""

    def one(item: tuple[SshHost, Sequence[str]]) -> Outcome:
        host, command = item
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
        return Outcome(
            host=host,
            exit_code=done.returncode,
            stdout=done.stdout.decode("utf-8", "replace"),
            stderr=done.stderr.decode("utf-8", "replace"),
        )

    with ThreadPoolExecutor(session.options.parallel) as pool:
        return list(pool.map(one, commands))


def stream_everywhere(
    session: Session, commands: Sequence[tuple[SshHost, Sequence[str]]]
) -> dict[str, int]:
    """Run one command for each host and show their lines as they come, each with its instance.

    Returns the exit codes by instance. The commands end with Ctrl-C, and when nobody reads on.
    """
    lock = threading.Lock()
    running: list[subprocess.Popen[bytes]] = []

    def show(host: SshHost, kind: str, stream: IO[bytes]) -> None:
        for line in stream:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            with lock:
                session.ui.block(f"{host.name}: {kind} | {text}")
            if session.ui.broken:
                stop()

    def stop() -> None:
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()

    def one(item: tuple[SshHost, Sequence[str]]) -> tuple[str, int]:
        host, command = item
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            running.append(process)
            assert process.stdout is not None
            assert process.stderr is not None
            errors = threading.Thread(target=show, args=(host, "stderr", process.stderr))
            errors.start()
            show(host, "stdout", process.stdout)
            errors.join()
            return host.name, process.wait()

    pool = ThreadPoolExecutor(max(session.options.parallel, len(commands)))
    futures = [pool.submit(one, item) for item in commands]
    try:
        return dict(future.result() for future in futures)
    except KeyboardInterrupt:
        stop()
        raise
    finally:
        pool.shutdown()


def _remove_user(
    session: Session, deployment: str, group: str | None, instance: str | None, user: str
) -> None:
    """Remove the temporary user; a failure is told, since what was asked for is done by now."""
    try:
        session.run(
            clean_up_ssh(session.http, deployment, group=group, instance=instance, user=user),
            quiet=True,
        )
    except DirectorError as error:
        session.ui.note(f"The temporary user '{user}' could not be removed: {error}")

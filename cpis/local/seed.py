"""Files every machine gets before its first start, written into its own layer of the root."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from director.model.errors import CpiError

_VCAP = "vcap:x:1000:1000:BOSH user:/home/vcap:/bin/sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What makes one machine differ from the next."""

    hostname: str
    agent_id: str
    address: str | None
    dns: tuple[str, ...]


def seed_root(upper: Path, image: Path, identity: Identity, env: Mapping[str, Any]) -> None:
    """Write host name, resolver, keys and the first process into ``upper``.

    ``upper`` is empty before, so that no link in it can lead a write elsewhere. Raises CpiError
    when ``env`` lacks the keys a machine must have.
    """
    bosh = env.get("bosh") or {}
    etc = _directory(upper / "etc", 0o755)
    _write(etc / "hostname", f"{identity.hostname}\n")
    _write(etc / "hosts", _hosts(identity))
    _write(etc / "resolv.conf", "".join(f"nameserver {server}\n" for server in identity.dns))
    machine_id = hashlib.sha256(identity.agent_id.encode()).hexdigest()[:32]
    _write(etc / "machine-id", f"{machine_id}\n")
    own = _directory(etc / "director", 0o755)
    _write(own / "init", files("cpis.local").joinpath("init.sh").read_text(), 0o755)
    host_key = bosh.get("ssh_host_key")
    if not host_key:
        raise CpiError("the VM's env has no bosh.ssh_host_key: nobody could verify its sshd")
    _write(own / "ssh_host_key", host_key["private_key"].rstrip("\n") + "\n", 0o600)
    _write(own / "ssh_host_key.pub", host_key["public_key"].rstrip("\n") + "\n")
    _seed_users(upper, image, tuple(bosh.get("authorized_keys") or ()), bosh.get("password"))


def _seed_users(upper: Path, image: Path, authorized: Sequence[str], password: str | None) -> None:
    passwd = _read(image, "passwd")
    if not any(line.startswith("vcap:") for line in passwd):
        passwd = [*passwd, _VCAP]
        _write(upper / "etc/passwd", "\n".join(passwd) + "\n")
        group = _read(image, "group")
        _write(upper / "etc/group", "\n".join([*group, "vcap:x:1000:"]) + "\n")
    shadow = _read(image, "shadow")
    _write(upper / "etc/shadow", "\n".join(_passwords(shadow, password)) + "\n", 0o640)
    _own(upper / "etc/shadow", 0, _group_id(image, "shadow"))
    vcap = next(line for line in passwd if line.startswith("vcap:")).split(":")
    keys = "".join(key.strip() + "\n" for key in authorized)
    _authorize(upper / "root", keys, 0, 0)
    home = Path(os.path.normpath("/" + vcap[5].lstrip("/")))
    if home == Path("/"):
        return
    _directory(upper / home.relative_to("/").parent, 0o755)
    _authorize(upper / home.relative_to("/"), keys, int(vcap[2]), int(vcap[3]))


def _authorize(home: Path, keys: str, uid: int, gid: int) -> None:
    _own(_directory(home, 0o700 if uid == 0 else 0o755), uid, gid)
    _own(_directory(home / ".ssh", 0o700), uid, gid)
    _write(home / ".ssh/authorized_keys", keys, 0o600)
    _own(home / ".ssh/authorized_keys", uid, gid)


def _passwords(shadow: list[str], password: str | None) -> list[str]:
    """Return the shadow lines with root and vcap open to keys: ``!`` would lock them for sshd."""
    lines = {line.split(":")[0]: line for line in shadow}
    for user in ("root", "vcap"):
        fields = lines.get(user, f"{user}:*:19000:0:99999:7:::").split(":")
        if password:
            fields[1] = password
        elif fields[1].startswith("!") or not fields[1]:
            fields[1] = "*"
        lines[user] = ":".join(fields)
    return list(lines.values())


def _hosts(identity: Identity) -> str:
    own = f"{identity.address} {identity.hostname}\n" if identity.address else ""
    return f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{own}"


def _group_id(image: Path, name: str) -> int:
    for line in _read(image, "group"):
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    return 0


def _read(image: Path, name: str) -> list[str]:
    """Return the lines of a file in the image's /etc, or none."""
    # O_NOFOLLOW twice: no link in an image may lead to a file of the host.
    try:
        etc = os.open(image / "etc", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=etc)
        finally:
            os.close(etc)
    except OSError:
        return []
    with os.fdopen(handle, errors="replace") as stream:
        return [line for line in stream.read().splitlines() if line]


def _directory(path: Path, mode: int) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "w") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), mode)


def _own(path: Path, uid: int, gid: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, uid, gid, follow_symlinks=False)

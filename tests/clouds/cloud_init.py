"""cloud-init's part, played on a local machine: the user data is really parsed and carried out.

What it does not know it refuses, so that nothing the CPIs write is passed over in silence. Order
and frequency are cloud-init's: ``bootcmd`` at every boot, the files, users and keys at the first
one, all before sshd is there; ``runcmd`` at the first boot and the scripts in ``per-boot`` at
every one, while sshd is there already.
"""

from __future__ import annotations

import base64
import gzip
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import yaml

PER_BOOT = "/var/lib/cloud/scripts/per-boot"
Run = Callable[..., str]
"""Runs a shell text as root in the machine: ``run(text, stdin=b"")``, raising if it fails."""

_IGNORED = {
    "disable_root",  # the machine's root has no other keys
    "ssh_pwauth",
    "ssh_deletekeys",
    "manage_etc_hosts",
    "mounts",
}
_PERFORMED = {"hostname", "ssh_keys", "users", "bootcmd", "write_files", "runcmd"}


def parse(user_data: str) -> Mapping[str, Any]:
    """Return the configuration in ``user_data``; AssertionError for what this player lacks."""
    first, _, rest = user_data.partition("\n")
    assert first == "#cloud-config", f"cloud-init does not know '{first}'"
    config = yaml.safe_load(rest)
    unknown = set(config) - _PERFORMED - _IGNORED
    assert not unknown, f"this cloud-init does not know {sorted(unknown)}"
    assert config.get("disable_root") is False, "root could not log in"
    assert config.get("ssh_deletekeys", True), "the image's own host keys would stay"
    return config


def early(run: Run, config: Mapping[str, Any], *, first: bool) -> None:
    """Do what is done before sshd starts."""
    for command in config.get("bootcmd", ()):
        run(_shell(command))
    if not first:
        return
    for file in config.get("write_files", ()):
        _write(run, file)
    if "hostname" in config:
        run(f"hostname {shlex.quote(config['hostname'])}; hostname >/etc/hostname")
    for user in config.get("users", ()):
        _give_keys(run, user)
    run("rm -f /etc/ssh/ssh_host_*key*")
    for name, content in config.get("ssh_keys", {}).items():
        kind, _, part = name.partition("_")
        path = f"/etc/ssh/ssh_host_{kind}_key{'.pub' if part == 'public' else ''}"
        mode = "644" if part == "public" else "600"
        run(f"umask 077; cat >{path} && chmod {mode} {path}", stdin=content.encode())


def late(run: Run, config: Mapping[str, Any], *, first: bool) -> None:
    """Do what is done last, when people can log in already."""
    for command in config.get("runcmd", ()) if first else ():
        run(_shell(command))
    run(f'for f in {PER_BOOT}/*; do [ ! -x "$f" ] || "$f" || exit; done')


def _shell(command: str | list[str]) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def _write(run: Run, file: Mapping[str, str]) -> None:
    known = {"path", "content", "permissions", "owner", "encoding"}
    assert set(file) <= known, f"this cloud-init does not know {sorted(set(file) - known)}"
    content = file.get("content", "").encode()
    match file.get("encoding", "text/plain"):
        case "gz+b64":
            content = gzip.decompress(base64.b64decode(content))
        case "text/plain":
            pass
        case other:
            raise AssertionError(f"this cloud-init does not know the encoding {other}")
    path = shlex.quote(file["path"])
    owner, mode = shlex.quote(file["owner"]), shlex.quote(file["permissions"])
    run(
        f'umask 077; mkdir -p -m 755 "$(dirname {path})" && cat >{path} && chown {owner} {path}'
        f" && chmod {mode} {path}",
        stdin=content,
    )


def _give_keys(run: Run, user: Mapping[str, Any]) -> None:
    assert set(user) == {"name", "lock_passwd", "ssh_authorized_keys"}, sorted(user)
    assert not user["lock_passwd"]
    keys = "".join(f"{key}\n" for key in user["ssh_authorized_keys"])
    run(
        f"umask 077; home=$(getent passwd {shlex.quote(user['name'])} | cut -d: -f6)"
        ' && mkdir -p "$home/.ssh" && cat >"$home/.ssh/authorized_keys"',
        stdin=keys.encode(),
    )

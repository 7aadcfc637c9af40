"""What a new VM of a plain cloud image is told: cloud-init's user data, carrying its keys."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from cpis.contract import CloudError

_PER_BOOT = "/var/lib/cloud/scripts/per-boot/director-first-boot"
_OWN = "/var/lib/director"
_HASH = re.compile(r"[A-Za-z0-9./$*,=_-]{1,400}")

# Runs at every boot, before sshd does. The mark says "not yet" to the director until the first
# boot's work is done, also after a reset in the midst of it. A disk that is attached later than
# this is never taken for the ephemeral one.
_MARK = (
    f"[ -e {_OWN}/done ] || {{ mkdir -p /run/director && ls /dev >/run/director/devices"
    " && : >/run/director/booting; }"
)

# Keys only; a director opens many channels of one connection at once.
_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
GSSAPIAuthentication no
MaxSessions 100
MaxStartups 200
"""


def user_data(*, hostname: str, env: Mapping[str, Any]) -> str:
    """Return a VM's user data (``#cloud-config``, UTF-8 text) from the ``env`` of ``create_vm``.

    It carries the SSH host key, the keys that may log in as root and as vcap, the host name, and a
    script for the first boot: monit and a toolchain are installed where the image lacks them, and
    the ephemeral disk (a disk that is blank then) becomes swap and ``/var/vcap/data``. Below
    10 KiB for BOSH's usual ``env``. Of the keys of ``env.bosh`` it heeds ``password`` (a hash),
    ``swap_size`` (MiB; 0 is none) and ``remove_dev_tools`` (no toolchain is installed). Raises
    CloudError for what cannot be used.
    """
    bosh = env.get("bosh") or {}
    host_key = bosh.get("ssh_host_key")
    if not host_key:
        raise CloudError("the VM's env has no bosh.ssh_host_key: nobody could verify its sshd")
    keys = [str(key).strip() for key in bosh.get("authorized_keys") or ()]
    if not keys or any("\n" in key for key in keys):
        raise CloudError(
            "the VM's env needs bosh.authorized_keys, each one line: nobody could log in",
            fix="write each OpenSSH public key as one text",
        )
    written = [
        _file("/etc/ssh/sshd_config.d/00-director.conf", _SSHD, "0644"),
        _file(f"{_OWN}/authorized_keys", "".join(f"{key}\n" for key in keys)),
        _packed(_PER_BOOT, _first_boot(bosh)),
    ]
    if bosh.get("password"):
        written.append(_file(f"{_OWN}/passwords", _passwords(str(bosh["password"]))))
    config = {
        "hostname": hostname,
        "manage_etc_hosts": "localhost",
        "disable_root": False,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_keys": {
            "ed25519_private": host_key["private_key"].rstrip("\n") + "\n",
            "ed25519_public": host_key["public_key"].rstrip("\n") + "\n",
        },
        # Naming root alone, the image's default user is not made: it would have vcap's uid.
        "users": [{"name": "root", "lock_passwd": False, "ssh_authorized_keys": keys}],
        # Without a place to mount it cloud-init leaves this disk alone.
        "mounts": [["ephemeral0"]],
        "bootcmd": [["sh", "-c", _MARK]],
        "write_files": written,
    }
    text = yaml.dump(config, Dumper=_Readable, sort_keys=False, width=1000, allow_unicode=True)
    return f"#cloud-config\n{text}"


def host_name(agent_id: str) -> str:
    """Return the host name of a VM: ``vm-`` and the agent id, as DNS allows."""
    plain = re.sub(r"[^a-z0-9]+", "-", agent_id.lower()).strip("-")
    return f"vm-{plain}"[:63].rstrip("-")


def _first_boot(bosh: Mapping[str, Any]) -> str:
    swap = bosh.get("swap_size")
    if swap is not None and (isinstance(swap, bool) or not isinstance(swap, int) or swap < 0):
        raise CloudError(
            f"env.bosh.swap_size is '{swap}'", fix="use a number of MiB, or 0 for no swap"
        )
    toolchain = "no" if bosh.get("remove_dev_tools") is True else "yes"
    wanted = "" if swap is None else str(swap)
    return f"#!/bin/sh\nswap_mb='{wanted}' toolchain={toolchain}\n{_script()}"


@cache
def _script() -> str:
    text = files("cpis.libcloud_base").joinpath("first_boot.sh").read_text(encoding="utf-8")
    # Comments are for whoever reads the file here; user data has to be short.
    lines = (line for line in text.splitlines() if line and not line.lstrip().startswith("#"))
    return "".join(f"{line}\n" for line in lines)


def _passwords(password: str) -> str:
    if not _HASH.fullmatch(password):
        raise CloudError(
            "env.bosh.password is not a password's hash", fix="use the output of mkpasswd"
        )
    return f"root:{password}\nvcap:{password}\n"


def _packed(path: str, content: str) -> dict[str, str]:
    """Return a program, compressed: some clouds take user data as a part of the request's URL."""
    packed = gzip.compress(content.encode(), mtime=0)
    text = base64.b64encode(packed).decode()
    return {**_file(path, text, "0700"), "encoding": "gz+b64"}


def _file(path: str, content: str, permissions: str = "0600") -> dict[str, str]:
    return {"path": path, "permissions": permissions, "owner": "root:root", "content": content}


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as they are, so that operators can read user data."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Readable.add_representer(str, _text)

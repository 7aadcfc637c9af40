"""Command lines for a machine's shell: the scripts of this package, and values quoted for them.

The scripts in ``scripts/`` are fixed text; whatever varies reaches them as quoted arguments or on
standard input, never as part of the text. Secrets go by standard input only.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from shlex import quote

from director.model.errors import MachineError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
_DIGEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9_:.+-]{0,199}")
_DEVICE = re.compile(r"/[A-Za-z0-9_./:@+*-]{1,400}")
_MOST_DEVICES = 16
_OPTIONS = re.compile(r"[A-Za-z0-9_=,.:-]{0,400}")
_USER = re.compile(r"bosh_[a-z0-9_]{1,27}")
_USER_PATTERN = re.compile(r"\^(bosh_[a-z0-9_]*)(?:\.\*)?(\$?)")
_PUBLIC_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}(?: [ -~]*)?")

_BEHIND = {
    "monit": ("halt",),
    "drain": ("halt",),
    "state": ("booted",),
    "disk": ("booted", "device"),
}
"""Scripts that use what others define."""


def script(name: str, *arguments: str) -> str:
    """Return the command line that runs a script of this package."""
    return " ".join(["exec", *_words(name, arguments)])


def supervised(name: str, *arguments: str) -> str:
    """Return a command line like :func:`script`'s whose command ends when its input ends.

    It is ended by TERM, and by KILL ten seconds later.
    """
    return " ".join(["exec", *_words("supervise", ()), *_words(name, arguments)])


def supervised_shell(command: str) -> str:
    """Return the command line that runs an operator's ``command``, supervised."""
    return " ".join(["exec", *_words("supervise", ()), "/bin/sh", "-c", quote(command)])


def as_root(command: str) -> str:
    """Return the command line by which a user who needs no password runs ``command`` as root."""
    return f"exec sudo -n -H -- /bin/sh -c {quote(command)}"


def as_root_by_password(command: str) -> str:
    """Return the like for a user who needs one: the first line of the input is the password, and
    ``command`` has no input."""
    return f"exec sudo -k -S -H -p '' -- /bin/sh -c {quote('exec </dev/null; ' + command)}"


def _words(name: str, arguments: tuple[str, ...]) -> list[str]:
    return ["/bin/sh", "-c", quote(_text(name)), name, *(quote(a) for a in arguments)]


@cache
def _text(name: str) -> str:
    lines = "".join(map(_file, ("common", *_BEHIND.get(name, ()), name))).splitlines(keepends=True)
    # Comments are for whoever reads the files, not for a machine's list of processes.
    return "".join(line for line in lines if not line.lstrip().startswith("#"))


def boot_script() -> str:
    """Return the script a machine runs at every boot."""
    return f"#!/bin/sh\n{_file('device')}{_file('boot')}"


@cache
def _file(name: str) -> str:
    return files("director.machine").joinpath("scripts", f"{name}.sh").read_text()


def check_name(kind: str, name: str) -> str:
    """Return ``name`` if it can name a directory and stand in a list of words, else raise."""
    if not _NAME.fullmatch(name):
        raise MachineError(
            f"{kind} '{name[:100]}' has a name that cannot be a directory's",
            fix="use letters, digits, dots, dashes and underscores",
        )
    return name


def check_digest(digest: str) -> str:
    """Return ``digest`` if it can name a directory, else raise MachineError."""
    if not _DIGEST.fullmatch(digest):
        raise MachineError(f"'{digest[:100]}' is not a digest")
    return digest


def check_path(job: str, path: str) -> str:
    """Return ``path`` if it stays below a job's directory, else raise MachineError."""
    parts = path.split("/")
    if (
        len(path) > 1000
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(c) < 32 or ord(c) == 127 for c in path)
    ):
        raise MachineError(
            f"job '{job}' has a file '{path[:200]!s}' that does not lie below the job's directory",
            fix="use relative paths without '..' in the job's templates",
        )
    return path


def disk_arguments(hint: str, filesystem: str, options: str) -> tuple[str, str, str]:
    """Return the arguments of ``disk.sh``; raises MachineError for what mount must not be told.

    ``hint`` is one device path or several with blanks between them, each with or without ``*``.
    """
    paths = hint.split()
    if not 0 < len(paths) <= _MOST_DEVICES or not all(map(_is_device, paths)):
        raise MachineError(f"'{hint[:100]}' is not the path of a disk's device")
    if filesystem not in ("ext4", "xfs"):
        raise MachineError(
            f"'{filesystem[:100]}' is not a file system for persistent disks",
            fix="use ext4 or xfs as env.persistent_disk_fs",
        )
    if not _OPTIONS.fullmatch(options):
        raise MachineError(
            "the mount options of the persistent disk hold characters that options do not have",
            fix="use letters, digits, '=', '_' and '-', separated by commas",
        )
    return " ".join(paths), filesystem, options


def _is_device(path: str) -> bool:
    return bool(_DEVICE.fullmatch(path)) and "/../" not in f"{path}/"


def check_user(user: str) -> str:
    """Return ``user`` if it can be a temporary user's name (``bosh_`` and more), else raise."""
    if not _USER.fullmatch(user):
        raise MachineError(
            f"'{user[:100]}' cannot be the name of a temporary user",
            fix="use 'bosh_' followed by at most 27 lower-case letters, digits or underscores",
        )
    return user


def check_public_key(key: str) -> str:
    """Return ``key`` as one line if it is an OpenSSH public key without options, else raise."""
    line = key.strip()
    if len(line) > 16_000 or not _PUBLIC_KEY.fullmatch(line):
        raise MachineError("the public key is not one line of an OpenSSH public key file")
    return line


def users_matching(pattern: str, users: list[str]) -> list[str]:
    """Return the temporary users that ``pattern`` means: ``^bosh_abc``, with or without ``.*``
    or ``$`` at its end.

    Whoever sends it may be anybody, so that it is compared, not handed to a regular expression
    engine, and never reaches users of other names. Raises MachineError for other patterns.
    """
    found = _USER_PATTERN.fullmatch(pattern)
    if not found:
        raise MachineError(
            f"'{pattern[:100]}' cannot be used to choose temporary users",
            fix="use '^bosh_' and the beginning of the user's name",
        )
    exact = bool(found[2]) and ".*" not in pattern
    return [
        user
        for user in users
        if _USER.fullmatch(user) and (user == found[1] if exact else user.startswith(found[1]))
    ]

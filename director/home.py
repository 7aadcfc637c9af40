"""The home directory: where everything a director keeps has its place, for its user only."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from director.model.errors import SettingsError
from director.store.owner import is_dead

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Home:
    """The layout below ``root``."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "director.db"

    @property
    def log(self) -> Path:
        """What went wrong outside any task."""
        return self.root / "director.log"

    @property
    def tasks(self) -> Path:
        """What tasks say while they run."""
        return self.root / "tasks"

    @property
    def blobs(self) -> Path:
        return self.root / "blobs"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def sockets(self) -> Path:
        return self.root / "run"

    @property
    def temporary(self) -> Path:
        """One directory for each running director."""
        return self.root / "tmp"


def open_home(root: Path) -> Home:
    """Make what is missing of a home directory, close it to others, and clear what the dead left.

    Raises SettingsError if that is not possible.
    """
    home = Home(root)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_mode & 0o077:
            root.chmod(0o700)
        for place in (home.tasks, home.keys, home.sockets, home.temporary):
            place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the home directory '{root}' cannot be used: {error.strerror}",
            fix="give another one with --home or DIRECTOR_HOME",
        ) from error
    for left in (*home.sockets.iterdir(), *home.temporary.iterdir()):
        if is_dead(_owner_of(left.name)):
            _remove(left)
    return home


@contextmanager
def place_of(home: Home, owner: str) -> Iterator[tuple[Path, socket.socket]]:
    """Yield a work directory and a listening socket of this process's own; both go afterwards.

    Nobody but the user reaches the socket: the home directory is closed to others.
    """
    name = owner.rpartition(":")[0].partition(":")[2].replace(":", "-") + "-" + owner[-8:]
    work, path = home.temporary / name, home.sockets / f"{name}.sock"
    work.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path)
        yield work, listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)


def socket_path(home: Home, listener: socket.socket) -> Path:
    """Return where the socket is, by its own name in the directory of sockets."""
    return home.sockets / Path(listener.getsockname()).name


def keep_key(home: Home, name: str) -> bytes:
    """Return the secret key kept under ``name``; the first caller makes it (mode 0600).

    Several processes that ask at once get the same one.
    """
    path = home.keys / name
    with suppress(FileNotFoundError):
        return _checked(path)
    draft = path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return _checked(path)


def _checked(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SettingsError(
            f"the key '{path}' is damaged: it has {len(key)} bytes, not {KEY_BYTES}",
            fix="restore it from a backup; what it encrypted cannot be read without it",
        )
    return key


def _bind(listener: socket.socket, path: Path) -> None:
    # A socket's address holds no more than 107 bytes; by its directory's descriptor it fits.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o600)
    listener.listen(128)


def _owner_of(name: str) -> str:
    pid, _, rest = name.partition("-")
    start, _, token = rest.partition("-")
    return f"{socket.gethostname()}:{pid}:{start}:{token}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

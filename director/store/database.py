"""The connection to the database: who may read, who may write, and its schema brought up to date.

Every write begins with ``BEGIN IMMEDIATE``: a transaction that reads and then writes holds the
write lock from its first statement, so that nobody can have changed what it read. A plain ``BEGIN``
would let two of them read the same row and lose one update without any error.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DatabaseError

from director.model.errors import NotSupported, SettingsError
from director.store.sealing import PLAIN, Sealing, use_sealing
from director.store.tables import HEAD

WRITE_WAIT_S = 60
"""How long a write waits for others, of this process and of other ones, before it fails."""


class Database:
    """A database that any number of threads and processes use at the same time."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(begin="IMMEDIATE")
        # SQLite's own waiting is a race of sleepers; threads of this process stand in line.
        self._line = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database, whatever others write."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection that alone may write; commits at the end, rolls back on an error.

        Never open a second one inside it.
        """
        if not self._line.acquire(timeout=WRITE_WAIT_S):
            raise TimeoutError(f"no turn to write to the database within {WRITE_WAIT_S} s")
        try:
            with self._writer.connect() as connection, connection.begin():
                yield connection
        finally:
            self._line.release()

    def close(self) -> None:
        """Close all connections; the database can be opened again."""
        self._reader.dispose()


def open_database(url: str, *, sealing: Sealing = PLAIN, max_connections: int = 80) -> Database:
    """Open the database at ``url`` (``sqlite:////path/to/file``), creating or migrating it first.

    ``sealing`` encrypts what may hold secrets. Several processes may do so at once. Raises
    NotSupported for another kind of database, or for one written by a newer director.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise NotSupported(
            f"the database '{parsed.render_as_string()}' is not a SQLite file",
            fix="give a URL like sqlite:////var/lib/director/director.db",
        )
    path = Path(parsed.database)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        parsed,
        pool_size=8,
        max_overflow=max_connections - 8,
        connect_args={"timeout": WRITE_WAIT_S},
    )
    use_sealing(engine, sealing)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        _migrate(engine, path)
    except DatabaseError as error:
        raise SettingsError(
            f"the database '{path}' cannot be used: {error.orig}",
            fix="restore it from a backup, or give another home with --home",
        ) from error
    return Database(engine)


def _prepare(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late (before the first write); ours begin in _begin.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is deleted or replaced is overwritten, not left in free pages.
    connection.execute("PRAGMA secure_delete = ON")
    # FULL, not NORMAL: an intent must survive a power failure too, or a machine in a cloud would be
    # left that no row names. It costs one flush per write.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(engine: Engine, path: Path) -> None:
    # SQLite waits for nobody when it makes an empty file a database with a WAL: one does it alone.
    if path.stat().st_size and _version(engine) == HEAD:
        return
    lock = os.open(f"{path}.migrating", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _version(engine)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise NotSupported(
                f"the database '{path}' was written by a newer director "
                f"(schema {found}, this one knows {HEAD})",
                fix="use the newer director, or another home directory",
            )
        # Alembic takes longer to import than a whole read command; only a migration pays for it.
        from director.store.migrate import upgrade

        with engine.execution_options(begin="IMMEDIATE").connect() as connection:
            upgrade(connection)
    finally:
        os.close(lock)

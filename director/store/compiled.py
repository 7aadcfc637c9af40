"""The compiled packages table; part of the releases repository."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select

from director.model.ids import BlobId
from director.model.release import CompiledPackage
from director.store.database import Database
from director.store.tables import compiled_packages as t

CompiledKey = tuple[str, str, str, str, str]
"""Name, fingerprint, stemcell os, stemcell version, dependency key."""

_KEY = (t.c.name, t.c.fingerprint, t.c.stemcell_os, t.c.stemcell_version, t.c.dependency_key)


def find(database: Database, key: CompiledKey) -> CompiledPackage | None:
    """Return the package compiled for exactly this stemcell with exactly these dependencies."""
    with database.read() as connection:
        row = connection.execute(select(t).where(*_is(key))).one_or_none()
    return None if row is None else _compiled(row)


def keys(database: Database) -> set[CompiledKey]:
    """Return the keys of all compiled packages."""
    with database.read() as connection:
        return {(r[0], r[1], r[2], r[3], r[4]) for r in connection.execute(select(*_KEY))}


def every(database: Database) -> list[CompiledPackage]:
    """Return all compiled packages, by name, stemcell and fingerprint."""
    query = select(t).order_by(t.c.name, t.c.stemcell_os, t.c.stemcell_version, t.c.fingerprint)
    with database.read() as connection:
        return [_compiled(row) for row in connection.execute(query)]


def add(database: Database, package: CompiledPackage) -> None:
    """Keep ``package`` in place of any with the same key."""
    key = (
        package.name,
        package.fingerprint,
        package.stemcell_os,
        package.stemcell_version,
        package.dependency_key,
    )
    with database.write() as connection:
        connection.execute(delete(t).where(*_is(key)))
        connection.execute(
            insert(t).values(
                name=package.name,
                fingerprint=package.fingerprint,
                stemcell_os=package.stemcell_os,
                stemcell_version=package.stemcell_version,
                dependency_key=package.dependency_key,
                blob=package.blob,
                digest=package.digest,
            )
        )


def forget(database: Database, key: CompiledKey) -> None:
    """Forget one compiled package; its blob stays."""
    with database.write() as connection:
        connection.execute(delete(t).where(*_is(key)))


def _is(key: CompiledKey) -> list[ColumnElement[bool]]:
    return [column == value for column, value in zip(_KEY, key, strict=True)]


def _compiled(row: Any) -> CompiledPackage:
    return CompiledPackage(
        name=row.name,
        fingerprint=row.fingerprint,
        stemcell_os=row.stemcell_os,
        stemcell_version=row.stemcell_version,
        dependency_key=row.dependency_key,
        blob=BlobId(row.blob),
        digest=row.digest,
    )

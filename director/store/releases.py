"""Releases with their jobs and packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from director.model.ids import BlobId
from director.model.release import CompiledPackage, Job, LinkSpec, Package, PropertySpec, Release
from director.store import compiled
from director.store.compiled import CompiledKey
from director.store.database import Database
from director.store.tables import jobs, packages, releases


@dataclass(frozen=True, slots=True)
class Releases:
    """Release versions, and packages compiled from them."""

    database: Database

    def add(self, release: Release) -> None:
        """Keep ``release``; a version that is there already is replaced."""
        with self.database.write() as connection:
            connection.execute(
                delete(releases).where(
                    releases.c.name == release.name, releases.c.version == release.version
                )
            )
            done = connection.execute(
                insert(releases).values(
                    name=release.name,
                    version=release.version,
                    commit_hash=release.commit_hash,
                    uncommitted_changes=release.uncommitted_changes,
                )
            )
            (release_id,) = done.inserted_primary_key or (0,)
            if release.jobs:
                connection.execute(
                    insert(jobs), [_job_values(j, release_id) for j in release.jobs.values()]
                )
            if release.packages:
                connection.execute(
                    insert(packages),
                    [_package_values(p, release_id) for p in release.packages.values()],
                )

    def get(self, name: str, version: str) -> Release | None:
        with self.database.read() as connection:
            found = _load(connection, releases.c.name == name, releases.c.version == version)
        return found[0] if found else None

    def versions(self, name: str) -> list[Release]:
        """Return all versions of a release, oldest upload first."""
        with self.database.read() as connection:
            return _load(connection, releases.c.name == name)

    def list(self) -> list[Release]:
        """Return every version of every release: by name, oldest upload first."""
        with self.database.read() as connection:
            return _load(connection)

    def delete(self, name: str, version: str | None = None) -> None:
        """Forget one version, or all; blobs and compiled packages stay for a clean-up to find."""
        query = delete(releases).where(releases.c.name == name)
        if version is not None:
            query = query.where(releases.c.version == version)
        with self.database.write() as connection:
            connection.execute(query)

    def find_package(self, fingerprint: str) -> Package | None:
        """Return a package with this fingerprint, one with a source blob if there is any."""
        query = (
            select(packages)
            .where(packages.c.fingerprint == fingerprint)
            .order_by(packages.c.blob.is_(None), packages.c.id)
            .limit(1)
        )
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _package(row)

    def find_job(self, fingerprint: str) -> Job | None:
        query = select(jobs).where(jobs.c.fingerprint == fingerprint).order_by(jobs.c.id).limit(1)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _job(row)

    def compiled(
        self, name: str, fingerprint: str, os: str, version: str, dependency_key: str
    ) -> CompiledPackage | None:
        return compiled.find(self.database, (name, fingerprint, os, version, dependency_key))

    def compiled_keys(self) -> set[CompiledKey]:
        """Return (name, fingerprint, stemcell os, stemcell version, dependency key) of all."""
        return compiled.keys(self.database)

    def add_compiled(self, package: CompiledPackage) -> None:
        """Keep a compiled package; one with the same key is replaced."""
        compiled.add(self.database, package)

    def all_compiled(self) -> Sequence[CompiledPackage]:
        return compiled.every(self.database)

    def delete_compiled(
        self, name: str, fingerprint: str, os: str, version: str, dependency_key: str
    ) -> None:
        compiled.forget(self.database, (name, fingerprint, os, version, dependency_key))


def _load(connection: Connection, *which: Any) -> list[Release]:
    chosen = select(releases.c.id).where(*which)
    owned_jobs: dict[int, dict[str, Job]] = {}
    for row in connection.execute(
        select(jobs).where(jobs.c.release_id.in_(chosen)).order_by(jobs.c.id)
    ):
        owned_jobs.setdefault(row.release_id, {})[row.name] = _job(row)
    owned_packages: dict[int, dict[str, Package]] = {}
    for row in connection.execute(
        select(packages).where(packages.c.release_id.in_(chosen)).order_by(packages.c.id)
    ):
        owned_packages.setdefault(row.release_id, {})[row.name] = _package(row)
    return [
        Release(
            name=row.name,
            version=row.version,
            commit_hash=row.commit_hash,
            uncommitted_changes=row.uncommitted_changes,
            jobs=owned_jobs.get(row.id, {}),
            packages=owned_packages.get(row.id, {}),
        )
        for row in connection.execute(
            select(releases).where(*which).order_by(releases.c.name, releases.c.id)
        )
    ]


def _job_values(job: Job, release_id: int) -> dict[str, Any]:
    spec = asdict(job)
    return {
        "release_id": release_id,
        "name": spec.pop("name"),
        "fingerprint": spec.pop("fingerprint"),
        "blob": spec.pop("blob"),
        "digest": spec.pop("digest"),
        "spec": spec,
    }


def _job(row: Any) -> Job:
    spec = row.spec
    return Job(
        name=row.name,
        fingerprint=row.fingerprint,
        blob=None if row.blob is None else BlobId(row.blob),
        digest=row.digest,
        templates=spec["templates"],
        properties=tuple(PropertySpec(**p) for p in spec["properties"]),
        provides=tuple(_link(link) for link in spec["provides"]),
        consumes=tuple(_link(link) for link in spec["consumes"]),
        packages=tuple(spec["packages"]),
    )


def _link(data: dict[str, Any]) -> LinkSpec:
    return LinkSpec(**{**data, "properties": tuple(data["properties"])})


def _package_values(package: Package, release_id: int) -> dict[str, Any]:
    return {
        "release_id": release_id,
        "name": package.name,
        "fingerprint": package.fingerprint,
        "dependencies": list(package.dependencies),
        "blob": package.blob,
        "digest": package.digest,
    }


def _package(row: Any) -> Package:
    return Package(
        name=row.name,
        fingerprint=row.fingerprint,
        dependencies=tuple(row.dependencies),
        blob=None if row.blob is None else BlobId(row.blob),
        digest=row.digest,
    )

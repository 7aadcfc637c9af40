"""Releases: jobs with their templates, and packages with what they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.model.ids import BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertySpec:
    """One property a job declares; ``default`` is None where the spec gives none."""

    name: str
    description: str = ""
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """A link a job provides (``properties`` it exports) or consumes (``optional`` or not)."""

    name: str
    type: str
    optional: bool = False
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of a release. ``templates`` maps a file under ``templates/`` to its path on the VM.

    ``blob`` is the job's tarball in the store (``job.MF``, ``monit``, ``templates/``); ``digest``
    is BOSH's multi-digest of it.
    """

    name: str
    fingerprint: str
    templates: Mapping[str, str] = field(default_factory=dict)
    properties: tuple[PropertySpec, ...] = ()
    provides: tuple[LinkSpec, ...] = ()
    consumes: tuple[LinkSpec, ...] = ()
    packages: tuple[str, ...] = ()
    blob: BlobId | None = None
    digest: str = ""

    @property
    def is_errand(self) -> bool:
        """Whether the job can be run by ``run-errand``: it ships a ``bin/run``."""
        return "bin/run" in self.templates.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package; ``dependencies`` are names in the same release.

    ``blob`` is the source tarball in the store; None where only compiled forms were uploaded.
    """

    name: str
    fingerprint: str
    dependencies: tuple[str, ...] = ()
    blob: BlobId | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of a release."""

    name: str
    version: str
    commit_hash: str = ""
    uncommitted_changes: bool = False
    jobs: Mapping[str, Job] = field(default_factory=dict)
    packages: Mapping[str, Package] = field(default_factory=dict)

    def closure(self, package: str) -> tuple[str, ...]:
        """Return the names ``package`` needs, directly or not, dependencies first, itself left out.

        Raises KeyError for a name the release lacks; a release with a cycle is never stored.
        """
        found: list[str] = []

        def visit(name: str) -> None:
            for needed in self.packages[name].dependencies:
                if needed not in found:
                    visit(needed)
                    found.append(needed)

        visit(package)
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPackage:
    """A package compiled for one stemcell, with exactly these dependencies.

    ``dependency_key`` is :func:`dependency_key` of the transitive dependencies.
    """

    name: str
    fingerprint: str
    stemcell_os: str
    stemcell_version: str
    dependency_key: str
    blob: BlobId
    digest: str


def dependency_key(release: Release, package: str) -> str:
    """Return what identifies the dependencies of ``package``: their names and fingerprints."""
    return ",".join(
        f"{name}/{release.packages[name].fingerprint}" for name in sorted(release.closure(package))
    )

"""Which packages must be compiled, for which stemcell, in an order that works."""

from __future__ import annotations

from collections.abc import Container, Iterator

from director.model.errors import CompileError, DirectorError, raise_all
from director.model.release import Release, dependency_key
from director.model.resolved import ResolvedDeployment
from director.model.stemcell import Stemcell
from director.plan.steps import CompilePackage

CompiledKey = tuple[str, str, str, str, str]
"""Name, fingerprint, stemcell OS, stemcell version and dependency key of a compiled package."""


def compiled_key(release: Release, package: str, stemcell: Stemcell) -> CompiledKey:
    """Return what identifies ``package`` compiled for ``stemcell``, in whichever release it is."""
    return (
        package,
        release.packages[package].fingerprint,
        stemcell.operating_system,
        stemcell.version,
        dependency_key(release, package),
    )


def to_compile(
    resolved: ResolvedDeployment, compiled: Container[CompiledKey]
) -> tuple[CompilePackage, ...]:
    """Return what the deployment needs and is not in ``compiled``, dependencies first.

    A dependency is compiled only for a package that is. Raises CompileError (or a list of them)
    for packages without source.
    """
    steps: dict[CompiledKey, CompilePackage] = {}
    errors: list[DirectorError] = []
    seen: set[CompiledKey] = set()
    for release, name, stemcell in _needed(resolved):
        key = compiled_key(release, name, stemcell)
        if key in seen or key in compiled:
            continue
        for part in (*release.closure(name), name):
            part_key = compiled_key(release, part, stemcell)
            if part_key in seen or part_key in compiled:
                continue
            seen.add(part_key)
            package = release.packages[part]
            if package.blob is None:
                errors.append(_no_source(release, part, stemcell))
                continue
            steps[part_key] = CompilePackage(
                release=release, package=package, stemcell=stemcell, dependency_key=part_key[-1]
            )
    raise_all(errors)
    return tuple(steps.values())


def _needed(resolved: ResolvedDeployment) -> Iterator[tuple[Release, str, Stemcell]]:
    seen: set[tuple[str, str, str, str]] = set()
    for group in resolved.groups:
        if group.instances == 0:
            continue
        for job in group.jobs:
            for name in job.job.packages:
                stemcell = group.stemcell
                key = (job.release.name, name, stemcell.operating_system, stemcell.version)
                if key not in seen:
                    seen.add(key)
                    yield job.release, name, stemcell


def _no_source(release: Release, package: str, stemcell: Stemcell) -> CompileError:
    return CompileError(
        f"package '{package}' of release '{release.name}/{release.version}' has no source, and is "
        f"not compiled for stemcell '{stemcell.operating_system}/{stemcell.version}'",
        fix="upload the release with its sources, or one compiled for this stemcell",
    )

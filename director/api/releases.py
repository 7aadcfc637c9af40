"""Releases and their packages: list, look at, upload, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, task
from director.api.bodies import with_text
from director.api.context import context_of, flag, store_of
from director.api.routing import Route, in_thread
from director.api.uploads import uploaded
from director.model.errors import ReleaseNotFound, ReleaseVersionNotFound
from director.model.release import CompiledPackage, LinkSpec, Package, Release
from director.model.versions import version_key
from director.store.store import Store


def list_releases(request: Request) -> Response:
    """``GET /releases``: names ascending, versions ascending."""
    store = store_of(request)
    used = {pair for deployment in store.deployments.list() for pair in deployment.releases}
    by_name: dict[str, list[Release]] = {}
    for release in store.releases.list():
        by_name.setdefault(release.name, []).append(release)
    return answer(
        [
            {
                "name": name,
                "release_versions": [
                    {
                        "version": release.version,
                        "commit_hash": release.commit_hash,
                        "uncommitted_changes": release.uncommitted_changes,
                        "currently_deployed": (name, release.version) in used,
                        "job_names": sorted(release.jobs),
                    }
                    for release in _ascending(by_name[name])
                ],
            }
            for name in sorted(by_name)
        ]
    )


def get_release(request: Request) -> Response:
    """``GET /releases/{name}?version=``: its jobs and packages; without a version, all of them."""
    store, name = store_of(request), request.path_params["name"]
    versions = _known(store, name)
    wanted = request.query_params.get("version")
    if not wanted:
        return answer(_summary(versions))
    for release in versions:
        if release.version == wanted or version_key(release.version) == version_key(wanted):
            return answer(_details(release, store.releases.all_compiled()))
    listed = ", ".join(f"'{release.version}'" for release in versions)
    raise ReleaseVersionNotFound(
        f"release '{name}' has no version '{wanted}'", fix=f"there are: {listed}"
    )


async def upload(request: Request) -> Response:
    """``POST /releases``: a tarball, or JSON with the location of one."""
    args = {
        **await uploaded(request),
        "rebase": flag(request, "rebase"),
        "fix": flag(request, "fix"),
    }
    return await in_thread(task, request, "update_release", "create release", args)


def delete(request: Request) -> Response:
    """``DELETE /releases/{name}``: one version, or all."""
    name, version = request.path_params["name"], request.query_params.get("version") or None
    _known(store_of(request), name)
    args = {"name": name, "version": version, "force": flag(request, "force")}
    what = f"{name}/{version}" if version else name
    return task(request, "delete_release", f"delete release: {what}", args)


def matches(request: Request, text: str) -> Response:
    """``POST /packages/matches``: which packages of a release manifest need not be sent."""
    from director.operations.upload_release import packages_matching

    return answer(packages_matching(context_of(request).world, text))


def matches_compiled(request: Request, text: str) -> Response:
    """``POST /packages/matches_compiled``: the same for compiled packages."""
    from director.operations.upload_release import compiled_packages_matching

    return answer(compiled_packages_matching(context_of(request).world, text))


def _known(store: Store, name: str) -> list[Release]:
    versions = _ascending(store.releases.versions(name))
    if not versions:
        raise ReleaseNotFound(f"Release '{name}' doesn't exist")
    return versions


def _ascending(releases: Iterable[Release]) -> list[Release]:
    return sorted(releases, key=lambda release: version_key(release.version))


def _summary(versions: Iterable[Release]) -> dict[str, Any]:
    packages = {p.fingerprint: p for release in versions for p in release.packages.values()}
    jobs = {job.fingerprint: job for release in versions for job in release.jobs.values()}
    return {
        "packages": [
            {
                "name": package.name,
                "sha1": package.digest,
                "version": package.fingerprint,
                "dependencies": list(package.dependencies),
            }
            for package in packages.values()
        ],
        "jobs": [
            {
                "name": job.name,
                "sha1": job.digest,
                "version": job.fingerprint,
                "packages": list(job.packages),
            }
            for job in jobs.values()
        ],
        "versions": [release.version for release in versions],
    }


def _details(release: Release, compiled: Iterable[CompiledPackage]) -> dict[str, Any]:
    forms: dict[tuple[str, str], list[CompiledPackage]] = {}
    for package in compiled:
        forms.setdefault((package.name, package.fingerprint), []).append(package)
    return {
        "jobs": [
            {
                "name": job.name,
                "blobstore_id": job.blob,
                "sha1": job.digest,
                "fingerprint": job.fingerprint,
                "consumes": [_link(link, optional=True) for link in job.consumes],
                "provides": [_link(link, optional=False) for link in job.provides],
            }
            for _, job in sorted(release.jobs.items())
        ],
        "packages": [
            _package(package, forms.get((package.name, package.fingerprint), []))
            for _, package in sorted(release.packages.items())
        ],
    }


def _link(link: LinkSpec, *, optional: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": link.name, "type": link.type}
    if optional and link.optional:
        shown["optional"] = True
    return shown


def _package(package: Package, forms: Iterable[CompiledPackage]) -> dict[str, Any]:
    return {
        "name": package.name,
        "blobstore_id": package.blob,
        "sha1": package.digest if package.blob else None,
        "fingerprint": package.fingerprint,
        "compiled_packages": [
            {
                "stemcell": f"{form.stemcell_os}/{form.stemcell_version}",
                "sha1": form.digest,
                "blobstore_id": form.blob,
            }
            for form in forms
        ],
    }


ROUTES = [
    Route("/releases", list_releases, methods=["GET"]),
    Route("/releases", upload, methods=["POST"]),
    Route("/releases/{name}", get_release, methods=["GET"]),
    Route("/releases/{name}", delete, methods=["DELETE"]),
    Route("/packages/matches", with_text(matches), methods=["POST"]),
    Route("/packages/matches_compiled", with_text(matches_compiled), methods=["POST"]),
]

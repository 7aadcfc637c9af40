"""Delete a release, or one version of it, and the files nothing else uses."""

from __future__ import annotations

from collections.abc import Sequence

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import (
    ReleaseInUse,
    ReleaseNotFound,
    ReleaseVersionInUse,
    ReleaseVersionNotFound,
)
from director.model.events import AuditEvent
from director.model.release import Release
from director.operations.references import (
    blobs_of,
    delete_unused,
    forget_compiled,
    unused_compiled,
)


def delete_release(world: World, run: TaskRun) -> str:
    """Run a ``delete_release`` task (arguments ``name``, ``version``, ``force``).

    Raises ReleaseNotFound or ReleaseVersionNotFound, and ReleaseInUse or ReleaseVersionInUse where
    a deployment uses it, ``force`` or not.
    """
    name = str(run.task.args["name"])
    version = str(run.task.args["version"]) if run.task.args.get("version") else None
    with content_lock(world, run):
        doomed = _find(world, name, version)
        _require_unused(world, name, version, doomed)
        remove_versions(world, run, doomed)
    return f"/release/{name}"


def remove_versions(
    world: World,
    run: TaskRun,
    doomed: Sequence[Release],
    *,
    heading: str = "Deleting release versions",
) -> None:
    """Delete release versions nothing uses, with what was compiled from them and for nobody else.

    The caller holds the lock of uploaded content.
    """
    stage = run.stage(heading, total=len(doomed))
    for release in doomed:
        label = f"{release.name}/{release.version}"
        with stage.track(label):
            world.store.releases.delete(release.name, release.version)
            forget_compiled(world, unused_compiled(world))
            delete_unused(world, blobs_of(release))
        run.audit(AuditEvent(action="delete", object_type="release", object_name=label))


def _find(world: World, name: str, version: str | None) -> list[Release]:
    versions = world.store.releases.versions(name)
    if not versions:
        raise ReleaseNotFound(f"Release '{name}' doesn't exist", fix="look at: director releases")
    found = [release for release in versions if version in (None, release.version)]
    if not found:
        raise ReleaseVersionNotFound(
            f"release '{name}' has no version '{version}'", fix="look at: director releases"
        )
    return found


def _require_unused(
    world: World, name: str, version: str | None, doomed: Sequence[Release]
) -> None:
    pairs = {(release.name, release.version) for release in doomed}
    users = sorted(d.name for d in world.store.deployments.list() if pairs & set(d.releases))
    if not users:
        return
    fix = "delete these deployments first, or deploy them with another version"
    if version is None:
        raise ReleaseInUse(f"Release '{name}' is still in use by: {', '.join(users)}", fix=fix)
    raise ReleaseVersionInUse(
        f"ReleaseVersion '{name}/{version}' is still in use by: {', '.join(users)}", fix=fix
    )

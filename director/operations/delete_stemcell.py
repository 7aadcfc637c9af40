"""Delete a stemcell from the cloud, with what was compiled for it."""

from __future__ import annotations

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.configs import called
from director.model.errors import CpiError, StemcellInUse, StemcellNotFound
from director.model.events import AuditEvent
from director.model.stemcell import Stemcell
from director.operations.references import forget_compiled


def delete_stemcell(world: World, run: TaskRun) -> str:
    """Run a ``delete_stemcell`` task (arguments ``name``, ``version``, ``force``).

    With ``force`` it is forgotten even if the cloud does not delete it. Raises StemcellNotFound,
    and StemcellInUse where a deployment uses it, ``force`` or not.
    """
    name, version = str(run.task.args["name"]), str(run.task.args["version"])
    with content_lock(world, run):
        copies = world.store.stemcells.copies(name, version)
        if not copies:
            raise StemcellNotFound(
                f"Stemcell '{name}/{version}' doesn't exist", fix="look at: director stemcells"
            )
        users = sorted(
            d.name for d in world.store.deployments.list() if (name, version) in d.stemcells
        )
        if users:
            raise StemcellInUse(
                f"Stemcell '{name}/{version}' is still in use by: {', '.join(users)}",
                fix="delete these deployments first, or deploy them with another stemcell",
            )
        with run.stage("Deleting stemcells", total=1).track(str(copies[0])):
            remove_stemcell(world, run, copies[0], force=bool(run.task.args.get("force")))
    return f"/stemcells/{name}/{version}"


def remove_stemcell(world: World, run: TaskRun, stemcell: Stemcell, *, force: bool = False) -> None:
    """Delete a stemcell nothing uses, on all CPIs. The caller holds the lock of uploaded content.

    One copy after the other goes, and is forgotten: what fails can be done again.
    """
    every = world.store.stemcells.list()
    for copy in world.store.stemcells.copies(stemcell.name, stemcell.version):
        try:
            world.cpi(copy.cpi).delete_stemcell(copy.cid)
        except CpiError as error:
            if not force:
                raise
            run.warn(
                f"{called(copy.cpi)} did not delete stemcell '{stemcell}' ({copy.cid}): "
                f"{error.what}"
            )
        world.store.stemcells.delete(copy.name, copy.version, copy.cpi)
    system = (stemcell.operating_system, stemcell.version)
    if all(
        (other.operating_system, other.version) != system
        for other in every
        if (other.name, other.version) != (stemcell.name, stemcell.version)
    ):
        compiled = world.store.releases.all_compiled()
        forget_compiled(
            world, [c for c in compiled if (c.stemcell_os, c.stemcell_version) == system]
        )
    run.audit(AuditEvent(action="delete", object_type="stemcell", object_name=str(stemcell)))

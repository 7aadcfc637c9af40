"""Upload a stemcell: hand its image to the cloud and remember what the cloud calls it."""

from __future__ import annotations

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.stage import Stage
from director.execute.world import World
from director.model.errors import StemcellInvalid
from director.model.events import AuditEvent
from director.model.stemcell import Stemcell
from director.operations.uploaded_file import uploaded_file
from director.stemcell.open_stemcell import OpenedStemcell, open_stemcell


def upload_stemcell(world: World, run: TaskRun) -> str:
    """Run an ``update_stemcell`` task (arguments ``path`` or ``location``, ``sha1``, ``fix``).

    A stemcell that is there stays as it is, unless ``fix`` has the cloud make it anew. Raises
    StemcellInvalid if the CPI cannot use the image.
    """
    stage = run.stage("Update stemcell")
    with uploaded_file(world, run, "stemcell", invalid=StemcellInvalid, stage=stage) as (
        path,
        scratch,
    ):
        with stage.track("Extracting stemcell archive"):
            opened = open_stemcell(path, scratch)
        with stage.track("Verifying stemcell manifest"):
            _require_format(world, opened)
        with content_lock(world, run, wait_s=600):
            _keep(world, run, opened, stage)
    return f"/stemcells/{opened.name}/{opened.version}"


def _keep(world: World, run: TaskRun, opened: OpenedStemcell, stage: Stage) -> None:
    label, fix = f"{opened.name}/{opened.version}", bool(run.task.args.get("fix"))
    with stage.track("Checking if this stemcell already exists"):
        known = world.store.stemcells.find(opened.name, opened.version)
    if known is not None and not fix:
        return
    with stage.track(f"Uploading stemcell {label} to the cloud"):
        properties = {"name": opened.name, "version": opened.version, **opened.cloud_properties}
        cid = world.cpi("").create_stemcell(str(opened.image), properties)
    with stage.track(f"Save stemcell {label} ({cid})"):
        world.store.stemcells.add(
            Stemcell(
                name=opened.name,
                version=opened.version,
                operating_system=opened.operating_system,
                cid=cid,
                api_version=opened.api_version,
            )
        )
    run.audit(AuditEvent(action="create", object_type="stemcell", object_name=label))


def _require_format(world: World, opened: OpenedStemcell) -> None:
    """Raise StemcellInvalid unless the CPI takes one of the image's formats (or names none)."""
    taken = set(world.cpi("").info().stemcell_formats)
    if opened.formats and taken and not taken & set(opened.formats):
        raise StemcellInvalid(
            f"stemcell '{opened.name}/{opened.version}' has the format"
            f" {' or '.join(opened.formats)}, and the CPI takes {' or '.join(sorted(taken))}",
            fix="upload a stemcell made for this CPI",
        )

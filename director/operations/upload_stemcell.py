"""Upload a stemcell: hand its image to the clouds and remember what each of them calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from director.execute.lock import content_lock
from director.execute.run import TaskRun
from director.execute.stage import Stage
from director.execute.world import World
from director.model.configs import called
from director.model.errors import DirectorError, StemcellInvalid, raise_all
from director.model.events import AuditEvent
from director.model.stemcell import Stemcell
from director.operations.uploaded_file import uploaded_file
from director.stemcell.open_stemcell import OpenedStemcell, open_stemcell


def upload_stemcell(world: World, run: TaskRun) -> str:
    """Run an ``update_stemcell`` task (arguments ``path`` or ``location``, ``sha1``, ``fix``).

    It goes to every CPI that takes its format. Where it is already it stays as it is, unless
    ``fix`` has the cloud make it anew. What failed on one CPI does not keep it from the others;
    doing it again goes on from there. Raises StemcellInvalid if no CPI can use the image.
    """
    stage = run.stage("Update stemcell")
    with uploaded_file(world, run, "stemcell", invalid=StemcellInvalid, stage=stage) as (
        path,
        scratch,
    ):
        with stage.track("Extracting stemcell archive"):
            opened = open_stemcell(path, scratch)
        with stage.track("Verifying stemcell manifest"):
            takers, errors = _takers(world, opened)
        with content_lock(world, run, wait_s=600):
            for cpi in takers:
                run.checkpoint()
                try:
                    _keep(world, run, opened, stage, cpi)
                except DirectorError as error:
                    errors.append(error)
        raise_all(errors)
    return f"/stemcells/{opened.name}/{opened.version}"


def _keep(world: World, run: TaskRun, opened: OpenedStemcell, stage: Stage, cpi: str) -> None:
    label, fix = f"{opened.name}/{opened.version}", bool(run.task.args.get("fix"))
    of_cpi = f" (cpi: {cpi})" if cpi else ""
    current = world.cpi_config().current
    with stage.track(f"Checking if this stemcell already exists{of_cpi}"):
        copies = world.store.stemcells.copies(opened.name, opened.version)
        known = [copy for copy in copies if current(copy.cpi) == cpi]
    if known and not fix:
        return
    with stage.track(f"Uploading stemcell {label} to the cloud{of_cpi}"):
        properties = {"name": opened.name, "version": opened.version, **opened.cloud_properties}
        cid = world.cpi(cpi).create_stemcell(str(opened.image), properties)
    with stage.track(f"Save stemcell {label} ({cid}){of_cpi}"):
        world.store.stemcells.add(
            Stemcell(
                name=opened.name,
                version=opened.version,
                operating_system=opened.operating_system,
                cid=cid,
                cpi=cpi,
                api_version=opened.api_version,
            )
        )
        # What is known by a name the CPI had before is replaced too.
        for copy in known:
            if copy.cpi != cpi:
                world.store.stemcells.delete(copy.name, copy.version, copy.cpi)
    run.audit(AuditEvent(action="create", object_type="stemcell", object_name=label))


def _takers(world: World, opened: OpenedStemcell) -> tuple[list[str], list[DirectorError]]:
    """Return the CPIs that take one of the image's formats (or name none), and the errors of those
    that could not be asked. Raises StemcellInvalid where all were asked and none takes it."""
    formats: dict[str, Sequence[str]] = {}
    errors: list[DirectorError] = []
    for cpi in world.cpi_config().names:
        try:
            formats[cpi] = world.cpi(cpi).info().stemcell_formats
        except DirectorError as error:
            errors.append(error)
    takers = [
        cpi
        for cpi, taken in formats.items()
        if not opened.formats or not taken or set(taken) & set(opened.formats)
    ]
    if not takers and not errors:
        raise _nobody_takes(opened, formats)
    return takers, errors


def _nobody_takes(opened: OpenedStemcell, formats: Mapping[str, Sequence[str]]) -> StemcellInvalid:
    taken = "; ".join(
        f"{called(cpi) if cpi else 'the CPI'} takes {' or '.join(sorted(those))}"
        for cpi, those in formats.items()
    )
    return StemcellInvalid(
        f"stemcell '{opened.name}/{opened.version}' has the format"
        f" {' or '.join(opened.formats)}, and {taken}",
        fix="upload a stemcell made for this CPI"
        if len(formats) == 1
        else "upload a stemcell made for one of these CPIs",
    )

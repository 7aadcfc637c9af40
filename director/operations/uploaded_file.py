"""The file an upload task works on: sent along, or fetched from where the task says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from director.execute.run import TaskRun
from director.execute.stage import Stage, Step
from director.execute.world import World
from director.model.digests import verify
from director.model.errors import BadRequest, DirectorError
from director.release.download import download


@contextmanager
def uploaded_file(
    world: World,
    run: TaskRun,
    kind: str,
    *,
    invalid: type[DirectorError],
    stage: Stage | None = None,
) -> Iterator[tuple[Path, Path]]:
    """Yield the tarball of a task and a scratch directory; both are gone afterwards.

    The task's arguments are ``path`` of a file that now belongs to the task, or ``location``, and
    perhaps ``sha1``. ``kind`` is what it is (``release``), for the progress and for errors, which
    are of type ``invalid`` or DigestMismatch. The steps belong to ``stage``, or each is a stage.
    """

    def track(step: str) -> AbstractContextManager[Step]:
        return (stage or run.stage(step, total=1)).track(step)

    args = run.task.args
    digest = str(args.get("sha1") or "")
    sent = Path(str(args["path"])) if args.get("path") else None
    try:
        with tempfile.TemporaryDirectory(dir=world.work_dir, prefix=f"{kind}-") as scratch:
            place = Path(scratch)
            if sent is not None:
                if digest:
                    with track(f"Verifying remote {kind}"):
                        _verify(sent, digest, kind)
                yield sent, place
                return
            location = str(args.get("location") or "")
            if not location:
                raise BadRequest(f"an upload needs a {kind} or the location of one")
            fetched = place / "remote.tgz"
            with track(f"Downloading remote {kind}"):
                download(location, fetched, invalid=invalid)
            if digest:
                with track(f"Verifying remote {kind}"):
                    _verify(fetched, digest, kind)
            yield fetched, place
    finally:
        # What the API kept for the task is the task's to remove; a file elsewhere is not.
        if sent is not None and sent.resolve().is_relative_to(world.work_dir.resolve()):
            sent.unlink(missing_ok=True)


def _verify(path: Path, digest: str, kind: str) -> None:
    with path.open("rb") as stream:
        verify(stream, digest, what=f"the {kind}")

"""Fetch the logs of instances into one stored file."""

from __future__ import annotations

import re
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import InstanceWithoutVm
from director.model.ids import BlobId
from director.model.instances import RecordedInstance
from director.operations.change_request import select_instances


def fetch_logs(world: World, run: TaskRun) -> str:
    """Pack the logs of the chosen instances; the result is the id of the stored tarball.

    One instance gives its own tarball, several a tarball of theirs.
    """
    args = run.task.args
    group = str(args.get("group") or "*")
    id = args.get("id")
    recorded = world.store.instances.list(str(args["deployment"]))
    chosen = [
        i
        for i in select_instances(recorded, group, None if id in (None, "", "*") else str(id))
        if i.vm is not None and i.vm.cid is not None
    ]
    if not chosen:
        raise InstanceWithoutVm(f"no instance of '{group}' has a VM", fix="start it first")
    kinds = tuple(str(args.get("type") or "job").split(","))
    filters = _filters(args.get("filters"))
    with tempfile.TemporaryDirectory(dir=world.work_dir, prefix="logs-") as directory:
        return _fetch(world, run, chosen, kinds, filters, Path(directory))


def _filters(given: object) -> tuple[str, ...]:
    words = given if isinstance(given, list) else [given or ""]
    return tuple(w for word in words for w in re.split(r"[\s,]+", str(word)) if w)


def _fetch(
    world: World,
    run: TaskRun,
    chosen: Sequence[RecordedInstance],
    kinds: tuple[str, ...],
    filters: tuple[str, ...],
    directory: Path,
) -> BlobId:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(world.now()))

    def target(instance: RecordedInstance) -> Path:
        return directory / f"{instance.group}.{instance.id}.{stamp}.tgz"

    def fetch_one(instance: RecordedInstance) -> None:
        stage = run.stage(f"Fetching logs for {instance.label}", total=1)
        with stage.track("Finding and packing log files"):
            pack_logs(world, run, instance, target(instance), kinds=kinds, filters=filters)

    run_parallel(
        world.new_pool, chosen, fetch_one, width=world.max_threads, checkpoint=run.checkpoint
    )
    if len(chosen) == 1:
        return world.blobs.put_file(target(chosen[0]))
    with run.stage("Fetching group of logs", total=1).track("Packing log files together"):
        together = directory / "all.tgz"
        # What it holds is compressed already: the outer layer need not try hard.
        with tarfile.open(together, mode="w:gz", compresslevel=1) as tar:
            for instance in chosen:
                tar.add(target(instance), arcname=target(instance).name)
        return world.blobs.put_file(together)


def pack_logs(
    world: World,
    run: TaskRun,
    instance: RecordedInstance,
    target: Path,
    *,
    kinds: tuple[str, ...] = ("job",),
    filters: tuple[str, ...] = (),
) -> None:
    """Write the logs of one instance, which has a VM, to the file ``target``."""
    assert instance.vm is not None
    machine = world.connect(instance.vm, run.cancelled)
    try:
        with target.open("wb") as output:
            machine.fetch_logs(filters, output, kinds=kinds)
    finally:
        machine.close()

"""Run an errand: ``bin/run`` of a job, on the instances that have it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from director.execute.lock import deployment_lock
from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.contract import ScriptResult
from director.manifest.read_deployment import read_deployment
from director.model.errors import (
    DeploymentNotFound,
    ErrandError,
    ErrandNotFound,
    InstanceNotFound,
    MachineError,
    MachineUnreachable,
)
from director.model.events import AuditEvent
from director.model.ids import InstanceId
from director.model.instances import DesiredState, RecordedInstance
from director.model.manifest import InstanceGroup
from director.operations.change_request import select_instances
from director.operations.desired import Desired
from director.operations.errand_vms import errand_instances, errand_vms, only
from director.operations.fetch_logs import pack_logs

_CANCELLED = 128
"""An exit code above this means that a signal ended the errand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """An errand found in the manifest: the job to run, and the groups that have it.

    ``by_group``: it was asked for by the name of its group.
    """

    name: str
    job: str
    groups: tuple[InstanceGroup, ...]
    by_group: bool = False


def run_errand(world: World, run: TaskRun) -> str:
    """Run the errand everywhere it shall run and write a JSON object per instance.

    The task succeeds even when the errand does not: its exit codes are in the result. Instances
    of a group whose lifecycle is errand get their VMs for it, and lose them afterwards unless
    they are to be kept alive; none are made for a run that is skipped. The result counts how it
    went.
    """
    args = run.task.args
    deployment, name = str(args["deployment"]), str(args["errand"])
    with deployment_lock(world, run, deployment) as held:
        errand = find_errand(world, deployment, name)
        choices = args.get("instances") or []
        if choices and errand.by_group:
            raise ErrandError(
                f"errand '{name}' is an instance group, whose instances cannot be chosen",
                fix="leave out --instance, or name the errand by its job",
            )
        dedicated = _dedicated(errand, choices)
        desired = (
            errand_instances(world, run, deployment=deployment, groups=dedicated)
            if dedicated
            else None
        )
        chosen = choose_instances(_instances(world, deployment, errand, dedicated), choices)
        _refuse_stopped(errand, [i for i in chosen if i.group not in dedicated])
        digest = _digest(errand, chosen, desired)
        runs = world.store.errand_runs
        if args.get("when_changed") and runs.last(deployment, name) == digest:
            return "skipped - no changes detected"
        with ExitStack() as stack:
            if desired is not None:
                wanted = only(desired, {i.id for i in chosen})
                keep_alive = bool(args.get("keep_alive"))
                stack.enter_context(
                    errand_vms(world, run, wanted, keep_alive=keep_alive, held=held)
                )
            now = {i.id: i for i in world.store.instances.list(deployment)}
            results = _run_all(world, run, errand, [now[i.id] for i in chosen])
            if results and all(r.exit_code == 0 for r in results):
                runs.record(deployment, name, digest)
    run.checkpoint()
    return _counts(results)


def find_errand(world: World, deployment: str, name: str) -> Errand:
    """Return the errand ``name`` of a deployment: a job that has ``bin/run``, else a group of
    lifecycle errand. Raises ErrandNotFound naming the errands there are."""
    record = world.store.deployments.get(deployment)
    if record is None or record.manifest is None:
        raise DeploymentNotFound(f"Deployment '{deployment}' doesn't exist")
    groups = read_deployment(record.manifest, "manifest").instance_groups
    versions = dict(record.releases)
    releases = {r: world.store.releases.get(r, version) for r, version in versions.items()}
    errands: dict[str, list[InstanceGroup]] = {}
    jobs_of: dict[str, list[str]] = {}
    for group in groups:
        for use in group.jobs:
            release = releases.get(use.release)
            job = release.jobs.get(use.name) if release else None
            if job is not None and job.is_errand:
                errands.setdefault(use.name, []).append(group)
                jobs_of.setdefault(group.name, []).append(use.name)
    if name in errands:
        return Errand(name=name, job=name, groups=tuple(errands[name]))
    for group in groups:
        if group.name == name and group.lifecycle == "errand" and name in jobs_of:
            return Errand(name=name, job=jobs_of[name][0], groups=(group,), by_group=True)
    by_group = {g.name for g in groups if g.lifecycle == "errand" and g.name in jobs_of}
    known = ", ".join(f"'{e}'" for e in sorted({*errands, *by_group})) or "none"
    raise ErrandNotFound(f"Errand '{name}' doesn't exist", fix=f"there are: {known}")


def _dedicated(errand: Errand, choices: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the errand groups that shall get VMs: none that the choices leave out."""
    chosen = {str(choice.get("group") or "*") for choice in choices} or {"*"}
    groups = {g.name for g in errand.groups if g.lifecycle == "errand"}
    return groups if "*" in chosen else groups & chosen


def _instances(
    world: World, deployment: str, errand: Errand, dedicated: Collection[str]
) -> list[RecordedInstance]:
    """Return the instances the errand may run on."""
    groups = {g.name for g in errand.groups if g.lifecycle != "errand"} | set(dedicated)
    return [i for i in world.store.instances.list(deployment) if i.group in groups]


def choose_instances(
    instances: Sequence[RecordedInstance], choices: Sequence[Mapping[str, Any]]
) -> list[RecordedInstance]:
    """Return the instances ``choices`` name (all, if there are none), each once.

    ``first`` and ``any`` mean the one with the smallest id. Raises InstanceNotFound.
    """
    if not choices:
        return list(instances)
    found: dict[InstanceId, RecordedInstance] = {}
    for choice in choices:
        group, id = str(choice.get("group") or "*"), choice.get("id")
        if not instances:
            raise InstanceNotFound(f"Instance '{group}' doesn't exist")
        if id in ("first", "any"):
            matching = select_instances(instances, group, None)
            matching = [min(matching, key=lambda i: i.id)]
        else:
            matching = select_instances(instances, group, str(id) if id else None)
        found.update({i.id: i for i in matching})
    return list(found.values())


def _refuse_stopped(errand: Errand, chosen: Sequence[RecordedInstance]) -> None:
    stopped = [
        i.name
        for i in chosen
        if i.state is not DesiredState.STARTED or i.vm is None or i.vm.cid is None
    ]
    if stopped:
        raise ErrandError(
            f"errand '{errand.name}' cannot run on stopped instances: {', '.join(stopped)}",
            fix="start them, or choose others with --instance",
        )


def _digest(errand: Errand, chosen: Sequence[RecordedInstance], desired: Desired | None) -> str:
    """Return a digest of everything the errand's outcome depends on: who runs it, and what."""
    shall_be = {spec.id: spec for spec in desired.specs} if desired is not None else {}
    facts = [
        [i.id, [asdict(j) for j in spec.jobs], [asdict(p) for p in spec.packages]]
        for i in sorted(chosen, key=lambda i: i.id)
        if (spec := shall_be.get(i.id, i.spec)) is not None
    ]
    text = json.dumps([errand.job, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _run_all(
    world: World, run: TaskRun, errand: Errand, chosen: Sequence[RecordedInstance]
) -> list[ScriptResult]:
    stage = run.stage("Running errand", total=len(chosen))
    results: dict[InstanceId, ScriptResult] = {}

    def run_one(instance: RecordedInstance) -> None:
        assert instance.vm is not None
        with stage.track(instance.label):
            machine = world.connect(instance.vm, run.cancelled)
            try:
                results[instance.id] = machine.run_errand(errand.job)
            finally:
                machine.close()

    try:
        run_parallel(
            world.new_pool, chosen, run_one, width=world.max_threads, checkpoint=run.checkpoint
        )
    finally:
        # What ran is told even when another instance could not be reached.
        for instance in chosen:
            if instance.id in results:
                _tell(world, run, errand, instance, results[instance.id])
    return list(results.values())


def _tell(
    world: World, run: TaskRun, errand: Errand, instance: RecordedInstance, result: ScriptResult
) -> None:
    run.write_result(
        json.dumps(
            {
                "instance": {"group": instance.group, "id": instance.id},
                "errand_name": errand.name,
                "exit_code": result.exit_code,
                "stdout": result.stdout,
                "stderr": result.stderr,
                "logs": _keep_logs(world, run, instance),
            }
        )
        + "\n"
    )
    run.audit(
        AuditEvent(
            action="run",
            object_type="errand",
            object_name=errand.name,
            deployment=instance.deployment,
            instance=instance.name,
            context={"exit_code": result.exit_code},
        )
    )


def _keep_logs(world: World, run: TaskRun, instance: RecordedInstance) -> dict[str, str | None]:
    """Store the instance's logs, as they are after the errand; without them it still counts."""
    nothing: dict[str, str | None] = {"blobstore_id": None, "sha1": None}
    if run.cancelled():
        return nothing
    stage = run.stage(f"Fetching logs for {instance.label}", total=1)
    with tempfile.TemporaryDirectory(dir=world.work_dir, prefix="errand-") as directory:
        target = Path(directory) / "logs.tgz"
        try:
            with stage.track("Finding and packing log files"):
                pack_logs(world, run, instance, target)
        except (MachineError, MachineUnreachable) as error:
            run.warn(f"the logs of {instance.name} could not be fetched: {error.what}")
            return nothing
        with target.open("rb") as packed:
            sha1 = hashlib.file_digest(packed, _sha1).hexdigest()
        return {"blobstore_id": world.blobs.put_file(target), "sha1": sha1}


def _sha1() -> Any:
    return hashlib.sha1(usedforsecurity=False)


def _counts(results: Sequence[ScriptResult]) -> str:
    succeeded = sum(r.exit_code == 0 for r in results)
    cancelled = sum(r.exit_code > _CANCELLED for r in results)
    errored = len(results) - succeeded - cancelled
    return f"{succeeded} succeeded, {errored} errored, {cancelled} canceled"

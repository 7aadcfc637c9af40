"""Let operators into instances: temporary users with a key of theirs, and their removal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import BadRequest, DirectorError, InstanceWithoutVm, raise_all
from director.model.events import AuditEvent
from director.model.ids import InstanceId
from director.model.instances import RecordedInstance
from director.operations.change_request import select_instances


def ssh(world: World, run: TaskRun) -> str:
    """Make (``setup``) or remove (``cleanup``) temporary users; the result is a JSON array.

    Every instance asked for that has a VM is tried; then every failure is raised.
    """
    args = run.task.args
    command, params = args["command"], args["params"]
    deployment = str(args["deployment"])
    chosen = _chosen(world.store.instances.list(deployment), args["target"])
    rows: dict[InstanceId, dict[str, Any]] = {}
    failures: list[DirectorError] = []

    def on_one(instance: RecordedInstance) -> None:
        try:
            rows[instance.id] = _on_one(world, run, instance, command, params)
        except DirectorError as error:
            failures.append(error)

    run_parallel(world.new_pool, chosen, on_one, width=world.max_threads)
    raise_all(failures)
    run.write_result(json.dumps([rows[i.id] for i in chosen]))
    return ""


def _chosen(
    recorded: Sequence[RecordedInstance], target: Mapping[str, Any]
) -> list[RecordedInstance]:
    """Return the instances with a VM that ``target`` names; ``ids`` wins over ``indexes``."""
    group = str(target.get("job") or "*")
    ids = target.get("ids") or target.get("indexes") or [None]
    if not isinstance(ids, list):
        raise BadRequest("'ids' and 'indexes' must be lists")
    found: dict[InstanceId, RecordedInstance] = {}
    for id in ids:
        for instance in select_instances(recorded, group, None if id is None else str(id)):
            found[instance.id] = instance
    with_vm = [i for i in found.values() if i.vm is not None and i.vm.cid is not None]
    if not with_vm:
        raise InstanceWithoutVm(
            f"no instance of '{group}' has a VM", fix="start it: director start"
        )
    return with_vm


def _on_one(
    world: World,
    run: TaskRun,
    instance: RecordedInstance,
    command: str,
    params: Mapping[str, Any],
) -> dict[str, Any]:
    vm = instance.vm
    assert vm is not None
    machine = world.connect(vm, run.cancelled)
    try:
        if command == "setup":
            user = str(params.get("user") or "")
            machine.add_ssh_user(user, str(params.get("public_key") or ""))
        else:
            user = str(params.get("user_regex") or "")
            machine.remove_ssh_users(user)
    finally:
        machine.close()
    run.audit(
        AuditEvent(
            action=command,
            object_type="ssh",
            object_name=instance.name,
            deployment=instance.deployment,
            instance=instance.name,
            context={"user": user},
        )
    )
    return {
        "command": command,
        "status": "success",
        "ip": vm.address(world.reach) or "",
        "host_public_key": vm.host_public_key,
        "id": instance.id,
        "index": instance.index,
        "job": instance.group,
    }

"""What every VM or instance of a deployment is and does, one JSON object a line."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.contract import MachineState, Process
from director.model.errors import MachineError, MachineUnreachable
from director.model.instances import RecordedInstance, RecordedVm

LIMIT_S = 5.0
"""How long one VM may take to answer before it is shown as unresponsive."""

UNRESPONSIVE = "unresponsive agent"


def vms(world: World, run: TaskRun) -> str:
    """Write a line for each instance, or with ``kind`` ``vms`` for each VM; returns nothing.

    All machines are asked side by side. One that does not answer in time is shown, not an error.
    """
    deployment = str(run.task.args["deployment"])
    recorded = world.store.instances.list(deployment)
    rows: list[tuple[RecordedInstance | None, RecordedVm | None]] = [(i, i.vm) for i in recorded]
    if run.task.args.get("kind") == "vms":
        known = {i.vm.agent_id for i in recorded if i.vm is not None}
        strays = [v for v in world.store.vms.list(deployment) if v.agent_id not in known]
        rows = [row for row in rows if row[1] is not None] + [(None, vm) for vm in strays]
    found = _ask_all(world, run, [vm for _, vm in rows if vm is not None and vm.cid is not None])
    lines = [
        json.dumps(_line(instance, vm, found.get(vm.agent_id) if vm else None))
        for instance, vm in rows
    ]
    if lines:
        run.write_result("\n".join(lines) + "\n")
    return ""


def _ask_all(
    world: World, run: TaskRun, machines: Sequence[RecordedVm]
) -> Mapping[str, MachineState]:
    """Return the states of the VMs that answered in time, by agent id."""
    if not machines:
        return {}
    begun: dict[str, float] = {}

    def ask(vm: RecordedVm) -> MachineState | None:
        begun[vm.agent_id] = time.monotonic()
        machine = world.connect(vm, run.cancelled)
        try:
            return machine.state(vitals=True)
        except (MachineUnreachable, MachineError) as error:
            run.log.info("VM '%s' does not answer: %s", vm.cid, error)
            return None
        finally:
            machine.close()

    pool = world.new_pool(len(machines))
    try:
        asked = {vm.agent_id: pool.submit(ask, vm) for vm in machines}
        answers = {id: _answer(run, answer, begun, id) for id, answer in asked.items()}
    finally:
        # A thread that still waits for a silent VM ends by itself; nobody waits for it.
        pool.shutdown(wait=False, cancel_futures=True)
    return {id: state for id, state in answers.items() if state is not None}


def _answer(
    run: TaskRun, answer: Future[MachineState | None], begun: Mapping[str, float], id: str
) -> MachineState | None:
    while True:
        try:
            return answer.result(timeout=0.2)
        except TimeoutError:
            run.checkpoint()
            # The time in the queue is not the VM's fault: its limit counts from when it was asked.
            if time.monotonic() - begun.get(id, time.monotonic()) > LIMIT_S:
                return None


def _line(
    instance: RecordedInstance | None, vm: RecordedVm | None, state: MachineState | None
) -> dict[str, Any]:
    spec = instance.spec if instance else None
    disks = [d.cid for d in instance.disks if d.cid is not None] if instance else []
    active = instance.active_disk if instance else None
    has_vm = vm is not None and vm.cid is not None
    line: dict[str, Any] = {
        "vm_cid": vm.cid if vm else None,
        "active": True if has_vm else None,
        "vm_created_at": _time(vm.created_at) if vm else None,
        "cloud_properties": dict(spec.cloud_properties) if spec else {},
        "disk_cid": active.cid if active else None,
        "disk_cids": disks,
        "ips": list(vm.ips) if vm else [],
        "agent_id": vm.agent_id if vm else None,
        "job_name": instance.group if instance else f"compilation-{vm.agent_id if vm else ''}",
        "index": instance.index if instance else 0,
        "job_state": (state.job_state if state else UNRESPONSIVE) if has_vm else None,
        "state": instance.state.value if instance else None,
        "vm_type": spec.vm_type if spec and has_vm else None,
        "vitals": dict(state.vitals) if state else None,
        "processes": [_process(p) for p in state.processes] if state else [],
        "az": instance.az if instance else None,
        "id": instance.id if instance else (vm.agent_id if vm else None),
        "bootstrap": instance.bootstrap if instance else False,
        "ignore": instance.ignore if instance else False,
    }
    stemcell = spec.stemcell if spec and has_vm else None
    line["stemcell"] = {
        "name": stemcell.name if stemcell else None,
        "version": stemcell.version if stemcell else None,
        "api_version": None,
    }
    return line


def _process(process: Process) -> dict[str, Any]:
    row: dict[str, Any] = {"name": process.name, "state": process.state}
    if process.uptime_s is not None:
        row["uptime"] = {"secs": process.uptime_s}
    if process.memory_kb is not None:
        row["mem"] = {"kb": process.memory_kb, "percent": process.memory_percent or 0.0}
    if process.cpu_percent is not None:
        row["cpu"] = {"total": process.cpu_percent}
    return row


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

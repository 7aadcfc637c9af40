"""VMs made and deleted so that a crash at any moment leaks none and doubles none.

The intent is recorded before the cloud is asked, under an agent id the CPI tags the VM with. What
a crash leaves behind is an intent without a CID: :func:`delete_leftovers` looks it up and deletes
what it finds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from cpis.contract import CloudError
from director.execute.retry import retry_cloud
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.errors import MachineUnreachable
from director.model.events import AuditEvent
from director.model.ids import AgentId, DiskCid
from director.model.instances import InstanceSpec, NetworkSpec, RecordedVm
from director.model.manifest import Json
from director.model.stemcell import Stemcell

CONSOLE_LINES = 12
"""How many lines of the console an error about a VM that never answered shows."""


def create_vm(
    world: World,
    run: TaskRun,
    *,
    deployment: str,
    stemcell: Stemcell,
    cloud_properties: Json,
    networks: tuple[NetworkSpec, ...],
    env: Json,
    tags: dict[str, str],
    spec: InstanceSpec | None = None,
    disk_cids: tuple[DiskCid, ...] = (),
) -> RecordedVm:
    """Create a VM, wait until its sshd answers, and return its record.

    ``cloud_properties`` and ``env`` have their variables filled in. ``spec`` is None for a
    compilation VM. Raises CloudError, or MachineUnreachable with the console's last lines; the VM
    is then deleted again.
    """
    agent_id = AgentId(world.new_id())
    host_key = world.new_host_key()
    cpi = world.cpi(stemcell.cpi)
    vm = RecordedVm(
        agent_id=agent_id,
        deployment=deployment,
        instance_id=spec.id if spec else None,
        cpi=stemcell.cpi,
        stemcell=str(stemcell),
        host_public_key=host_key.public_key,
    )
    world.store.vms.intend(vm)
    keys = {
        "authorized_keys": [*_given_keys(env), world.login_public_key],
        "ssh_host_key": {"private_key": host_key.private_key, "public_key": host_key.public_key},
        "group": f"{world.name}-{deployment}-{spec.group if spec else 'compilation'}",
    }
    try:
        cid, given = retry_cloud(
            lambda: cpi.create_vm(
                agent_id,
                stemcell.cid,
                cloud_properties,
                {network.name: network.to_cpi() for network in networks},
                disk_cids,
                {**env, "bosh": {**env.get("bosh", {}), **keys}},
            ),
            checkpoint=run.checkpoint,
        )
    except CloudError:
        if cpi.find_vm(agent_id) is None:
            world.store.vms.delete(agent_id)
        raise
    now = world.now()
    created = replace(vm, cid=cid, networks=given, created_at=now)
    world.store.vms.created(agent_id, cid, given, now)
    run.audit(
        AuditEvent(
            action="create",
            object_type="vm",
            object_name=cid,
            deployment=deployment,
            instance=spec.name if spec else None,
        )
    )
    try:
        cpi.set_vm_metadata(cid, tags)
        _wait_until_reachable(world, run, created)
    except BaseException:
        delete_vm(world, run, created)
        raise
    return created


def _given_keys(env: Json) -> list[str]:
    bosh = env.get("bosh")
    keys: Any = bosh.get("authorized_keys", []) if isinstance(bosh, dict) else []
    return [str(key) for key in keys] if isinstance(keys, list) else []


def _wait_until_reachable(world: World, run: TaskRun, vm: RecordedVm) -> None:
    deadline = time.monotonic() + world.boot_timeout_s
    pause_s = 0.01
    while (cause := world.probe(vm)) is not None:
        run.checkpoint()
        if time.monotonic() > deadline or not _still_there(world, vm):
            raise MachineUnreachable(
                f"VM '{vm.cid}' at {', '.join(vm.ips) or 'no address'} did not answer: {cause}"
                + _console(world, vm),
                fix="look at the console's last lines; check the image's sshd and the network",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.5)


def _still_there(world: World, vm: RecordedVm) -> bool:
    return vm.cid is not None and world.cpi(vm.cpi).has_vm(vm.cid)


def _console(world: World, vm: RecordedVm) -> str:
    if vm.cid is None:
        return ""
    lines = world.cpi(vm.cpi).console_output(vm.cid).splitlines()[-CONSOLE_LINES:]
    return "\nconsole:\n  " + "\n  ".join(lines) if lines else ""


def delete_vm(world: World, run: TaskRun, vm: RecordedVm) -> None:
    """Delete a VM in its cloud and its record; may be called again after a crash."""
    cpi = world.cpi(vm.cpi)
    cid = vm.cid or cpi.find_vm(vm.agent_id)
    if cid is not None:
        cpi.delete_vm(cid)
        run.audit(
            AuditEvent(action="delete", object_type="vm", object_name=cid, deployment=vm.deployment)
        )
    world.store.vms.delete(vm.agent_id)


def delete_leftovers(world: World, run: TaskRun, deployment: str) -> None:
    """Delete what a director that died left half-made in this deployment.

    Call it only while holding the deployment's lock. VMs that were asked for and never recorded
    go, and compilation VMs; disks that were asked for and never recorded go; disks that were
    made and never taken into use are orphaned, because they may hold data.
    """
    for vm in world.store.vms.list(deployment):
        if vm.cid is None or vm.instance_id is None:
            delete_vm(world, run, vm)
    for disk in world.store.disks.list(deployment):
        if disk.cid is None:
            cpi = world.cpi(disk.cpi)
            found = cpi.find_disk(disk.token)
            if found is not None:
                cpi.delete_disk(found)
            world.store.disks.forget(disk.token)
        elif not disk.active and disk.orphaned_at is None:
            world.store.disks.orphan(disk.cid, world.now())

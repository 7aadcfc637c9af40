"""VMs made and deleted so that a crash at any moment leaks none and doubles none.

The intent is recorded before the cloud is asked, under an agent id the CPI tags the VM with. What
a crash leaves behind is an intent without a CID: :func:`delete_leftovers` looks it up and deletes
what it finds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from cpis.contract import CloudError, Networks, NotImplementedByCpi, VmCreationFailed
from director.execute.access import give_access, meet
from director.execute.retry import retry_cloud
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.configs import called
from director.model.errors import MachineUnreachable
from director.model.events import AuditEvent
from director.model.ids import AgentId, DiskCid, VmCid
from director.model.instances import InstanceSpec, NetworkSpec, RecordedDisk, RecordedVm
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
    """Create a VM, wait until its sshd answers and lets us in, and return its record.

    ``cloud_properties`` and ``env`` have their variables filled in. ``spec`` is None for a
    compilation VM. Raises CloudError, or MachineUnreachable with the console's last lines; the VM
    is then deleted again.
    """
    agent_id = AgentId(world.new_id())
    cpi = world.cpi(stemcell.cpi)
    vm = RecordedVm(
        agent_id=agent_id,
        deployment=deployment,
        instance_id=spec.id if spec else None,
        cpi=stemcell.cpi,
        stemcell=str(stemcell),
    )
    vm, access = give_access(world, vm, env, host_keys=cpi.info().host_keys)
    world.store.vms.intend(vm)
    group = f"{world.name}-{deployment}-{spec.group if spec else 'compilation'}"
    asked = {network.name: network.to_cpi() for network in networks}
    try:
        cid, given = retry_cloud(
            lambda: cpi.create_vm(
                agent_id,
                stemcell.cid,
                cloud_properties,
                asked,
                disk_cids,
                {**env, "bosh": {**env.get("bosh", {}), **access, "group": group}},
            ),
            checkpoint=run.checkpoint,
        )
    except CloudError as error:
        nothing_left = isinstance(error, VmCreationFailed)
        if _find_vm(world, run, vm, trusted=nothing_left) is None:
            world.store.vms.delete(agent_id)
        raise
    now = world.now()
    # Cloud properties were filled in: they are not for keeping.
    kept = {
        name: {key: value for key, value in place.items() if key != "cloud_properties"}
        for name, place in _laid_over(asked, given).items()
    }
    created = replace(vm, cid=cid, networks=kept, created_at=now)
    world.store.vms.created(agent_id, cid, kept, now)
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
        return meet(world, run, created)
    except BaseException:
        delete_vm(world, run, created)
        raise


def _laid_over(asked: Networks, given: Networks) -> dict[str, dict[str, Any]]:
    """Return the networks as asked for, with what the cloud said of them; not all clouds repeat."""
    names = dict.fromkeys((*asked, *given))
    return {name: {**asked.get(name, {}), **given.get(name, {})} for name in names}


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
    cid = vm.cid or _find_vm(world, run, vm)
    if cid is not None:
        cpi.delete_vm(cid)
        run.audit(
            AuditEvent(action="delete", object_type="vm", object_name=cid, deployment=vm.deployment)
        )
    world.store.vms.delete(vm.agent_id)


def _find_vm(world: World, run: TaskRun, vm: RecordedVm, *, trusted: bool = False) -> VmCid | None:
    """Return the VM an intent led to, or None; also, after a warning, where the CPI cannot tell.

    ``trusted``: the CPI itself said that there is none, so that no warning is due.
    """
    try:
        return world.cpi(vm.cpi).find_vm(vm.agent_id)
    except NotImplementedByCpi:
        if trusted:
            return None
        run.warn(
            f"{called(vm.cpi)} cannot tell whether it made a VM for agent id '{vm.agent_id}' of "
            f"deployment '{vm.deployment}': look in the cloud for a VM with that id in its name, "
            "tags or user data, or one without the tag 'deployment', and delete it"
        )
        return None


def _find_disk(world: World, run: TaskRun, disk: RecordedDisk) -> DiskCid | None:
    """Return the disk an intent led to; None, after a warning, also where the CPI cannot tell."""
    try:
        return world.cpi(disk.cpi).find_disk(disk.token)
    except NotImplementedByCpi:
        run.warn(
            f"{called(disk.cpi)} cannot tell whether it made a disk of {disk.size_mb} MiB for "
            f"'{disk.instance_name}' of deployment '{disk.deployment}': look in the cloud for a "
            "disk of that size that is attached to nothing and has no tag 'deployment'"
        )
        return None


def delete_leftovers(world: World, run: TaskRun, deployment: str) -> None:
    """Delete what a director that died left half-made in this deployment.

    Call it only while holding the deployment's lock. VMs that were asked for and never recorded
    go, and so do those whose host key nobody has seen, and compilation VMs; disks that were asked
    for and never recorded go; disks that were made and never taken into use are orphaned, because
    they may hold data.
    """
    for vm in world.store.vms.list(deployment):
        never_met = vm.login_user != "root" and not vm.host_public_key
        if vm.cid is None or vm.instance_id is None or never_met:
            delete_vm(world, run, vm)
    for disk in world.store.disks.list(deployment):
        if disk.cid is None:
            found = _find_disk(world, run, disk)
            if found is not None:
                world.cpi(disk.cpi).delete_disk(found)
            world.store.disks.forget(disk.token)
        elif not disk.active and disk.orphaned_at is None:
            world.store.disks.orphan(disk.cid, world.now())

"""Give an instance a VM of its own, and take one away from it, so that a crash confuses nobody."""

from __future__ import annotations

from dataclasses import replace

from director.execute.disks import on_cpi
from director.execute.rollout import Rollout, vm_shape
from director.execute.vms import create_vm, delete_vm
from director.execute.world import World
from director.model.instances import InstanceSpec, RecordedInstance, RecordedVm


def give_vm(rollout: Rollout, spec: InstanceSpec) -> RecordedVm:
    """Create the instance's VM and record it; a VM it still has is deleted first.

    Two VMs never share an address or a disk: the old one is gone before the new one is asked for.
    """
    world, run = rollout.world, rollout.run
    recorded = rollout.recorded(spec.id)
    if recorded.vm is not None:
        delete_vm_of(rollout, recorded, recorded.vm)
    stemcell = rollout.resolved.group(spec.group).stemcells[spec.az]
    disk = recorded.active_disk
    vm = create_vm(
        world,
        run,
        deployment=spec.deployment,
        stemcell=stemcell,
        cloud_properties=rollout.fill(spec.cloud_properties),
        networks=tuple(
            replace(network, cloud_properties=rollout.fill(network.cloud_properties))
            for network in spec.networks
        ),
        env=rollout.fill(spec.env),
        tags=vm_tags(world, spec),
        spec=spec,
        disk_cids=(disk.cid,)
        if disk is not None and disk.cid is not None and on_cpi(world, disk, stemcell.cpi)
        else (),
    )
    made_for = vm_shape(spec.with_addresses(vm.addresses))
    world.store.instances.save(replace(recorded, spec=made_for, dirty=True, vm=vm))
    return vm


def delete_vm_of(rollout: Rollout, recorded: RecordedInstance, vm: RecordedVm) -> None:
    """Delete an instance's VM. What was recorded of it is forgotten with it, so that a run that
    dies before the next VM is described takes no VM for what it is not."""
    delete_vm(rollout.world, rollout.run, vm)
    rollout.world.store.instances.save(replace(recorded, spec=None, dirty=True))


def vm_tags(world: World, spec: InstanceSpec) -> dict[str, str]:
    """Return the metadata a VM carries: the operator's tags, and ours over them."""
    return {
        **spec.tags,
        "director": world.name,
        "deployment": spec.deployment,
        "instance_group": spec.group,
        "job": spec.group,
        "id": spec.id,
        "index": str(spec.index),
        "name": spec.name,
    }

"""VMs for the length of an errand: those of instance groups whose lifecycle is ``errand``.

Only the VMs come and go. The instances stay recorded, with their ids, addresses and disks, so that
``--when-changed`` can tell whether they are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from director.execute.compile import compile_packages
from director.execute.disks import release_disk
from director.execute.executor import create_vms, roll_out_group
from director.execute.parallel import run_parallel
from director.execute.rollout import Rollout
from director.execute.run import TaskRun
from director.execute.stage import Step
from director.execute.vms import delete_leftovers, delete_vm
from director.execute.world import World
from director.machine.contract import StopRequest
from director.model.ids import InstanceId
from director.model.instances import DesiredState, InstanceSpec, RecordedInstance
from director.operations.compilation_site import claimed_site
from director.operations.deploy import addresses_of, claim_anew, new_rollout
from director.operations.desired import Desired, deployed_source, desire, read_and_resolve
from director.operations.observe import observe
from director.plan.compile_order import to_compile
from director.plan.options import PlanOptions
from director.plan.planner import plan
from director.plan.steps import Plan


def errand_instances(
    world: World, run: TaskRun, *, deployment: str, groups: Collection[str]
) -> Desired:
    """Return the instances of errand groups as they shall be, and record them; VMs come later.

    Call it while holding the deployment's lock.
    """
    source = deployed_source(world, deployment)
    delete_leftovers(world, run, deployment)
    with run.stage("Preparing deployment", total=1).track("Preparing deployment"):
        resolved = read_and_resolve(world, source)

        def choose() -> Desired:
            desired = desire(world, resolved, world.credentials(), refresh=False)
            return only(desired, {spec.id for spec in desired.errands if spec.group in groups})

        return claim_anew(world, choose(), choose)


def only(desired: Desired, ids: Collection[InstanceId]) -> Desired:
    """Return ``desired`` with these of its errand instances as its only ones."""
    specs = tuple(spec for spec in desired.errands if spec.id in ids)
    states = {spec.id: DesiredState.STARTED for spec in specs}
    placement = replace(desired.placement, specs=specs, surplus=(), states=states)
    return replace(desired, specs=specs, placement=placement)


@contextmanager
def errand_vms(
    world: World,
    run: TaskRun,
    desired: Desired,
    *,
    keep_alive: bool,
    held: Callable[[], bool],
) -> Iterator[None]:
    """Give the instances of ``desired`` VMs with everything installed.

    The VMs are deleted afterwards, whatever happened, unless ``keep_alive``; VMs that an earlier
    errand kept are used again.
    """
    rollout = new_rollout(world, run, desired, None, lambda _: False, held)
    try:
        _bring_up(rollout, desired)
        for spec in desired.specs:
            keep = sorted((row.network, row.ip) for row in addresses_of(spec))
            world.store.addresses.release(instance_id=spec.id, keep=keep)
        yield
    finally:
        if not keep_alive and desired.specs:
            _delete(world, run, desired.specs)


def _bring_up(rollout: Rollout, desired: Desired) -> None:
    world, run = rollout.world, rollout.run
    missing = to_compile(desired.resolved, world.store.releases.compiled_keys())
    with claimed_site(world, desired, missing) as site:
        if site is not None:
            compile_packages(
                world,
                run,
                deployment=rollout.deployment,
                steps=missing,
                site=site,
                package_lock=rollout.package_lock,
                checkpoint=rollout.checkpoint,
            )
    wanted = {spec.id for spec in desired.specs}
    rows = [i for i in world.store.instances.list(rollout.deployment) if i.id in wanted]
    made: Plan = plan(
        desired.resolved,
        desired.placement,
        desired.specs,
        observe(world, run, rows),
        world.store.releases.compiled_keys(),
        PlanOptions(fix=True),
    )
    create_vms(rollout, made.create)
    for phase in made.phases:
        for group in phase:
            roll_out_group(rollout, group)


def _delete(world: World, run: TaskRun, specs: tuple[InstanceSpec, ...]) -> None:
    stage = run.stage("Deleting errand instances", total=len(specs))

    def delete(spec: InstanceSpec) -> None:
        recorded = world.store.instances.get(spec.id)
        if recorded is None or recorded.vm is None:
            return
        with stage.track(spec.label) as progress:
            _delete_vm(world, run, recorded, progress)

    run_parallel(world.new_pool, specs, delete, width=world.max_threads)


def _delete_vm(world: World, run: TaskRun, recorded: RecordedInstance, progress: Step) -> None:
    """Stop what runs and delete the VM; the instance stays, with its address and its disk."""
    vm, disk = recorded.vm, recorded.active_disk
    if vm is None:
        return
    if vm.cid is not None and world.probe(vm) is None:
        machine = world.connect(vm, run.cancelled)
        try:
            request = StopRequest(skip_drain=True, drain="shutdown", vm_next="delete")
            machine.stop(request, progress.status)
            if disk is not None:
                release_disk(world, vm=vm, disk=disk, machine=machine)
        finally:
            machine.close()
    progress.status("deleting VM")
    delete_vm(world, run, vm)
    world.store.instances.save(replace(recorded, spec=None, vm=None, dirty=True))

"""Run a plan: compile, delete what is obsolete, create what is missing, roll out, post-deploy."""

from __future__ import annotations

from collections.abc import Mapping

from director.execute.compile import compile_packages
from director.execute.delete_instance import delete_instance
from director.execute.give_vm import give_vm
from director.execute.named_errors import about
from director.execute.parallel import run_parallel
from director.execute.rollout import Rollout
from director.execute.update_instance import update_instance
from director.model.errors import CompileError
from director.model.ids import InstanceId
from director.model.instances import DesiredState, InstanceSpec
from director.plan.steps import CreateVm, DeleteInstance, GroupRollout, Plan, UpdateInstance, Wave

POST_DEPLOY = "bin/post-deploy"


def execute(rollout: Rollout, plan: Plan) -> None:
    """Do everything ``plan`` says, in its order; stops at the first failure and raises it.

    What was done stays done and is recorded, so that planning again goes on from there.
    """
    _compile(rollout, plan)
    _delete(rollout, plan.obsolete, width=rollout.world.max_threads, tags=())
    create_vms(rollout, plan.create)
    for phase in plan.phases:
        rollout.checkpoint()
        run_parallel(
            rollout.world.new_pool,
            phase,
            lambda group: roll_out_group(rollout, group),
            width=len(phase),
            checkpoint=rollout.checkpoint,
        )
    if not plan.changes_nothing:
        _post_deploy(rollout)


def _compile(rollout: Rollout, plan: Plan) -> None:
    if not plan.compile:
        return
    if rollout.site is None:
        raise CompileError(
            f"{len(plan.compile)} packages must be compiled and the cloud config has no "
            "'compilation' block",
            fix="add 'compilation' (workers, network, vm_type) to the cloud config",
        )
    compile_packages(
        rollout.world,
        rollout.run,
        deployment=rollout.deployment,
        steps=plan.compile,
        site=rollout.site,
        package_lock=rollout.package_lock,
        checkpoint=rollout.checkpoint,
    )


def _delete(
    rollout: Rollout, steps: tuple[DeleteInstance, ...], *, width: int, tags: tuple[str, ...]
) -> None:
    if not steps:
        return
    stage = rollout.run.stage("Deleting unneeded instances", total=len(steps), tags=tags)

    def delete(step: DeleteInstance) -> None:
        recorded = step.instance.recorded
        with stage.track(recorded.label) as progress:
            delete_instance(
                rollout.world,
                rollout.run,
                step,
                progress,
                skip_drain=rollout.skip_drain(recorded),
            )

    run_parallel(rollout.world.new_pool, steps, delete, width=width, checkpoint=rollout.checkpoint)


def create_vms(rollout: Rollout, steps: tuple[CreateVm, ...]) -> None:
    """Create VMs for all instances that have none, as many at once as threads are allowed."""
    if not steps:
        return
    stage = rollout.run.stage("Creating missing vms", total=len(steps))
    given: dict[InstanceId, Mapping[str, str]] = {}

    def create(step: CreateVm) -> None:
        with stage.track(step.spec.label), about(step.spec.label):
            given[step.spec.id] = give_vm(rollout, step.spec).addresses

    run_parallel(
        rollout.world.new_pool,
        steps,
        create,
        width=rollout.world.max_threads,
        checkpoint=rollout.checkpoint,
    )
    rollout.learn_addresses(given)


def roll_out_group(rollout: Rollout, group: GroupRollout) -> None:
    """Delete one group's surplus, then update its instances wave by wave."""
    _delete(rollout, group.deletes, width=group.delete_width, tags=(group.group,))
    total = sum(len(wave.updates) for wave in group.waves)
    stage = rollout.run.stage("Updating instance", total=total, tags=(group.group,))

    def update(step: UpdateInstance) -> None:
        label = step.spec.label + (" (canary)" if step.canary else "")
        with stage.track(label) as progress, about(step.spec.label):
            update_instance(rollout, step, progress)

    def run_wave(wave: Wave) -> None:
        run_parallel(
            rollout.world.new_pool,
            wave.updates,
            update,
            width=wave.width,
            checkpoint=rollout.checkpoint,
        )

    run_parallel(
        rollout.world.new_pool,
        group.waves,
        run_wave,
        width=len(group.waves) if group.azs_together else 1,
        checkpoint=rollout.checkpoint,
    )


def _post_deploy(rollout: Rollout) -> None:
    """Run post-deploy on every started instance whose jobs have the script."""

    def has_script(spec: InstanceSpec) -> bool:
        jobs = rollout.resolved.group(spec.group).jobs
        return any(POST_DEPLOY in job.job.templates.values() for job in jobs)

    concerned = [spec for spec in rollout.specs.values() if has_script(spec)]

    def run_script(spec: InstanceSpec) -> None:
        recorded = rollout.recorded(spec.id)
        if recorded.vm is None or recorded.state is not DesiredState.STARTED:
            return
        machine = rollout.world.connect(recorded.vm, rollout.run.cancelled)
        try:
            with about(spec.label):
                machine.run_scripts("post-deploy")
        finally:
            machine.close()

    run_parallel(
        rollout.world.new_pool,
        concerned,
        run_script,
        width=rollout.world.max_threads,
        checkpoint=rollout.checkpoint,
    )

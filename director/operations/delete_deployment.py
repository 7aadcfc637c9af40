"""Delete a deployment: its instances, VMs and addresses go, its disks are orphaned."""

from __future__ import annotations

from director.execute.compile import compilation_owner
from director.execute.delete_instance import delete_instance
from director.execute.lock import deployment_lock
from director.execute.parallel import run_parallel
from director.execute.run import TaskRun
from director.execute.vms import delete_leftovers
from director.execute.world import World
from director.model.errors import DeploymentNotFound, DirectorError
from director.model.events import AuditEvent
from director.model.instances import ActualInstance
from director.operations.observe import observe
from director.plan.steps import DeleteInstance, Reason, Why


def delete_deployment(world: World, run: TaskRun) -> str:
    """Run a ``delete_deployment`` task; with ``force`` a machine that fails stops nothing."""
    name, force = str(run.task.args["name"]), bool(run.task.args.get("force"))
    if world.store.deployments.get(name) is None:
        raise DeploymentNotFound(f"Deployment '{name}' doesn't exist")
    with deployment_lock(world, run, name):
        delete_leftovers(world, run, name)
        world.store.addresses.release(owner=compilation_owner(name))
        actual = observe(world, run, world.store.instances.list(name))
        stage = run.stage("Deleting instances", total=len(actual))

        def delete(instance: ActualInstance) -> None:
            step = DeleteInstance(instance=instance, why=(Why(reason=Reason.SURPLUS),))
            with stage.track(instance.recorded.label) as progress:
                try:
                    delete_instance(
                        world, run, step, progress, deployment_next="delete", force=force
                    )
                except DirectorError as error:
                    if error.fix is None:
                        error.fix = "correct what is named, or delete with --force"
                    raise

        run_parallel(
            world.new_pool, actual, delete, width=world.max_threads, checkpoint=run.checkpoint
        )
        with run.stage("Removing deployment artifacts", total=1).track("Destroying deployment"):
            world.store.deployments.delete(name)
        run.audit(
            AuditEvent(action="delete", object_type="deployment", object_name=name, deployment=name)
        )
    return f"/deployments/{name}"

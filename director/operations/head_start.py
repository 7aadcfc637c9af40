"""The beginning of a deploy: what other processes do is started before the code for it is loaded.

Loading takes a processor a tenth of a second, and starting what renders templates takes another
one about as long. So this module imports next to nothing.
"""

from __future__ import annotations

from director.execute.run import TaskRun
from director.execute.world import World


def deploy(world: World, run: TaskRun) -> str:
    """Run an ``update_deployment`` task; returns the deployment's URL path."""
    _warm_up(world, str(run.task.deployment))
    from director.operations.deploy import deploy

    return deploy(world, run)


def _warm_up(world: World, deployment: str) -> None:
    """Start what renders the templates of the releases deployed last: most likely those again."""
    record = world.store.deployments.get(deployment)
    if record is None:
        return
    for name, version in record.releases:
        release = world.store.releases.get(name, version)
        if release is not None:
            jobs = release.jobs.values()
            world.renderer().warm_up({template for job in jobs for template in job.templates})

"""``director delete-deployment``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.deployments import delete_deployment, list_deployments
from director.client.http import Refusal
from director.model.errors import TaskFailed


@click.command("delete-deployment", cls=Command)
@click.option("--force", is_flag=True, help="Go on where something fails.")
@click.pass_obj
def command(session: Session, force: bool) -> None:
    """Delete a deployment, its VMs and its addresses.

    Its persistent disks are orphaned, not deleted: see 'director disks --orphaned'.
    """
    name = session.deployment()
    session.ui.note(f"Deployment '{name}' and all its VMs will be deleted.")
    session.ui.confirm()
    try:
        session.run(delete_deployment(session.http, name, force=force))
    except (Refusal, TaskFailed):
        if any(deployment.name == name for deployment in list_deployments(session.http)):
            raise
        session.ui.line(f"Deployment '{name}' does not exist.")

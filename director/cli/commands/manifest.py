"""``director manifest``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.deployments import deployed_manifest


@click.command("manifest", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """Show a deployment's manifest as last submitted."""
    session.ui.block(deployed_manifest(session.http, session.deployment()))

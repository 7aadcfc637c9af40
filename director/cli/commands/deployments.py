"""``director deployments``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table, several
from director.client.deployments import list_deployments


@click.command("deployments", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List deployments."""
    rows = [
        [d.name, several(d.releases), several(d.stemcells), several(d.teams), d.cloud_config]
        for d in sorted(list_deployments(session.http), key=lambda d: d.name)
    ]
    session.ui.table(
        Table(
            content="deployments",
            header=["Name", "Release(s)", "Stemcell(s)", "Team(s)", "Cloud Config"],
            rows=rows,
        )
    )

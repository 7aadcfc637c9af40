"""``director errands``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table
from director.client.errands import list_errands


@click.command("errands", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List a deployment's errands."""
    names = sorted(list_errands(session.http, session.deployment()))
    session.ui.table(Table(content="errands", header=["Name"], rows=[[name] for name in names]))

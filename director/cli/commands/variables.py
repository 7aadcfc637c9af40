"""``director variables``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table
from director.client.records import list_variables


@click.command("variables", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List a deployment's variables, without their values."""
    rows = sorted(list_variables(session.http, session.deployment()), key=lambda row: row[1])
    session.ui.table(Table(content="variables", header=["ID", "Name"], rows=rows))

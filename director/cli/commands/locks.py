"""``director locks``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table, moment
from director.client.records import list_locks


@click.command("locks", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List the locks held now."""
    locks = sorted(list_locks(session.http), key=lambda lock: lock.expires_at)
    session.ui.table(
        Table(
            content="locks",
            header=["Type", "Resource", "Task ID", "Expires at"],
            rows=[[k.type, k.resource, k.task_id, moment(k.expires_at)] for k in locks],
        )
    )

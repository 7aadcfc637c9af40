"""``director cancel-task``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.tasks import cancel_task


@click.command("cancel-task", cls=Command)
@click.argument("task_id", metavar="ID", type=int)
@click.pass_obj
def command(session: Session, task_id: int) -> None:
    """Cancel a task at its next checkpoint."""
    cancel_task(session.http, task_id)
    session.ui.line(f"Task {task_id} stops at its next checkpoint.")

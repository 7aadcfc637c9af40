"""``director delete-disk``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.disks import delete_disk


@click.command("delete-disk", cls=Command)
@click.argument("cid")
@click.pass_obj
def command(session: Session, cid: str) -> None:
    """Delete an orphaned disk.

    What is on it is gone for good.
    """
    session.ui.note(f"Disk '{cid}' and what is on it will be deleted.")
    session.ui.confirm()
    session.run(delete_disk(session.http, cid))

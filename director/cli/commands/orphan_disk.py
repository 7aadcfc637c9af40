"""``director orphan-disk``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.disks import orphan_disk


@click.command("orphan-disk", cls=Command)
@click.argument("cid")
@click.pass_obj
def command(session: Session, cid: str) -> None:
    """Orphan a disk."""
    session.ui.note(f"Disk '{cid}' will be taken from its instance and orphaned.")
    session.ui.confirm()
    session.run(orphan_disk(session.http, cid))

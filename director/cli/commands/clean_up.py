"""``director clean-up``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.records import clean_up


@click.command("clean-up", cls=Command)
@click.option("--all", "remove_all", is_flag=True, help="Delete all unused, and orphaned disks.")
@click.option("--keep-orphaned-disks", is_flag=True, help="With --all: keep orphaned disks.")
@click.pass_obj
def command(session: Session, remove_all: bool, keep_orphaned_disks: bool) -> None:
    """Delete what nothing uses any more.

    The two newest unused versions of each release and stemcell are kept, and so are orphaned
    disks, unless --all is given.
    """
    what = "Everything unused" if remove_all else "Old unused releases and stemcells"
    if remove_all and not keep_orphaned_disks:
        what += ", orphaned disks and what is on them included,"
    session.ui.note(f"{what} will be deleted.")
    session.ui.confirm()
    task = session.run(
        clean_up(session.http, remove_all=remove_all, keep_orphaned_disks=keep_orphaned_disks)
    )
    session.ui.line(task.result)

"""``director delete-stemcell``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.slugs import name_and_version
from director.client.http import Refusal
from director.client.stemcells import delete_stemcell, list_stemcells
from director.model.errors import TaskFailed


@click.command("delete-stemcell", cls=Command)
@click.argument("stemcell", metavar="NAME/VERSION")
@click.option("--force", is_flag=True, help="Go on where something fails.")
@click.pass_obj
def command(session: Session, stemcell: str, force: bool) -> None:
    """Delete a stemcell."""
    name, version = name_and_version(stemcell, version_needed=True)
    session.ui.note(f"Stemcell '{stemcell}' will be deleted.")
    session.ui.confirm()
    try:
        session.run(delete_stemcell(session.http, name, version or "", force=force))
    except (Refusal, TaskFailed):
        there = list_stemcells(session.http)
        if any(s.name == name and s.version == version for s in there):
            raise
        session.ui.line(f"Stemcell '{stemcell}' does not exist.")

"""``director delete-release``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.slugs import name_and_version
from director.client.http import Refusal
from director.client.releases import delete_release, list_releases
from director.model.errors import TaskFailed


@click.command("delete-release", cls=Command)
@click.argument("release", metavar="NAME[/VERSION]")
@click.option("--force", is_flag=True, help="Go on where something fails.")
@click.pass_obj
def command(session: Session, release: str, force: bool) -> None:
    """Delete a release, or one version of it."""
    name, version = name_and_version(release, version_needed=False)
    session.ui.note(f"Release '{release}' will be deleted.")
    session.ui.confirm()
    try:
        session.run(delete_release(session.http, name, version, force=force))
    except (Refusal, TaskFailed):
        there = list_releases(session.http)
        if any(r.name == name and version in (None, r.version) for r in there):
            raise
        session.ui.line(f"Release '{release}' does not exist.")

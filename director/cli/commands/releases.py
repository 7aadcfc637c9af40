"""``director releases``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table
from director.client.releases import list_releases


@click.command("releases", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List releases."""
    by_name: dict[str, list[list[str]]] = {}
    for release in list_releases(session.http):
        version = release.version + ("*" if release.deployed else "")
        commit = release.commit_hash + ("+" if release.uncommitted_changes else "")
        by_name.setdefault(release.name, []).insert(0, [release.name, version, commit])
    session.ui.table(
        Table(
            content="releases",
            header=["Name", "Version", "Commit Hash"],
            rows=[row for name in sorted(by_name) for row in by_name[name]],
            notes=["(*) Currently deployed", "(+) Uncommitted changes"],
        )
    )

"""``director environment``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table, several
from director.client.records import director_info


@click.command("environment", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """Show facts about the director."""
    info = director_info(session.http)
    features = [
        f"{name}: {'enabled' if on else 'disabled'}" for name, on in sorted(info.features.items())
    ]
    session.ui.table(
        Table(
            content="",
            header=["Name", "UUID", "Version", "Director Stemcell", "CPI", "Features", "User"],
            rows=[
                [
                    info.name,
                    info.uuid,
                    info.version,
                    info.stemcell,
                    info.cpi,
                    several(features),
                    info.user or "(not logged in)",
                ]
            ],
            transpose=True,
        )
    )

"""``director cpi list``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Failing, Table


@click.command("cpi list", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List the CPIs that are installed."""
    from cpis.kit.installed import installed_cpis

    session.ui.table(
        Table(
            content="CPIs",
            header=["Name", "From", "About"],
            rows=[
                [cpi.name, cpi.source, Failing(cpi.problem) if cpi.problem else cpi.about]
                for cpi in installed_cpis()
            ],
            prose=frozenset({"About"}),
        )
    )

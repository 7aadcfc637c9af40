"""``director cpi show``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table


@click.command("cpi show", cls=Command)
@click.argument("name", metavar="NAME")
@click.pass_obj
def command(session: Session, name: str) -> None:
    """Show the properties of a CPI.

    Those it is set up with, and the cloud properties of VMs, networks and disks.
    """
    from cpis.kit.installed import properties_of, readme_of

    tables = properties_of(name)
    if not tables:
        session.ui.block(readme_of(name) or f"The CPI '{name}' does not tell its properties.")
        return
    session.ui.table(
        Table(
            content="properties",
            header=["Of", "Property", "Type", "Required", "Meaning"],
            rows=[
                [heading, each.name, each.type, "yes" if each.required else "", each.description]
                for heading, found in tables.items()
                for each in found
            ],
            prose=frozenset({"Of", "Meaning", "Type"}),
        )
    )

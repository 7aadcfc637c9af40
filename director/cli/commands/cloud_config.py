"""``director cloud-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.configs import show_config
from director.cli.session import Session


@click.command("cloud-config", cls=Command)
@click.option("--name", default="default", help="The cloud config's name.", show_default=True)
@click.pass_obj
def command(session: Session, name: str) -> None:
    """Show the cloud config."""
    show_config(session, "cloud", name)

"""``director cpi-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.configs import show_config
from director.cli.session import Session


@click.command("cpi-config", cls=Command)
@click.option("--name", default="default", help="The CPI config's name.", show_default=True)
@click.pass_obj
def command(session: Session, name: str) -> None:
    """Show the CPI config."""
    show_config(session, "cpi", name)

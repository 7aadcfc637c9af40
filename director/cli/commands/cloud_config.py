"""``director cloud-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.configs import latest_config
from director.model.errors import ConfigNotFound


@click.command("cloud-config", cls=Command)
@click.option("--name", default="default", help="The cloud config's name.", show_default=True)
@click.pass_obj
def command(session: Session, name: str) -> None:
    """Show the cloud config."""
    text = latest_config(session.http, "cloud", name or "default")
    if text is None:
        raise ConfigNotFound(
            "no cloud config", fix="set one: director update-cloud-config cloud-config.yml"
        )
    session.ui.block(text)

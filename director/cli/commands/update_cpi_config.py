"""``director update-cpi-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.configs import set_config
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session


@click.command("update-cpi-config", cls=Command)
@click.argument("path")
@document_options
@click.option("--name", default="default", help="The CPI config's name.", show_default=True)
@click.pass_obj
def command(session: Session, path: str, document: DocumentOptions, name: str) -> None:
    """Set the CPI config: the clouds that AZs of the cloud config may name.

    It holds at once, for all deployments. Upload stemcells again: a new CPI has none.
    """
    set_config(session, "cpi", name, path, document)

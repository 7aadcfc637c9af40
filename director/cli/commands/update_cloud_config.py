"""``director update-cloud-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.configs import set_config
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session
from director.model.errors import UsageError


@click.command("update-cloud-config", cls=Command)
@click.argument("path", metavar="[PATH]", required=False)
@document_options
@click.option("--local", is_flag=True, help="Use the one for local machines that comes along.")
@click.option("--name", default="default", help="The cloud config's name.", show_default=True)
@click.pass_obj
def command(
    session: Session, path: str | None, document: DocumentOptions, local: bool, name: str
) -> None:
    """Set the cloud config.

    Deployments take it over when they are deployed next.
    """
    if (path is None) is not local:
        raise UsageError(
            "give either the path of a cloud config or --local",
            fix="director update-cloud-config cloud-config.yml",
        )
    set_config(session, "cloud", name, path or _local_config(), document)


def _local_config() -> str:
    """Return where the cloud config for local machines was installed."""
    from importlib.resources import files

    return str(files("director.data") / "cloud-config-local.yml")

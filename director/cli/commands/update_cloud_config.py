"""``director update-cloud-config``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.document import load_document, positions, translator
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session
from director.client.configs import diff_config, update_config
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
    from director.manifest.located_yaml import require_mapping

    if (path is None) is not local:
        raise UsageError(
            "give either the path of a cloud config or --local",
            fix="director update-cloud-config cloud-config.yml",
        )
    found = load_document(path or _local_config(), document)
    require_mapping(found.located, "cloud config")
    chosen = name or "default"
    label = "cloud-config" if chosen == "default" else f"cloud-config:{chosen}"
    session.translate = translator(label, positions(found, found.text))
    lines, expected = diff_config(session.http, "cloud", chosen, found.text)
    session.ui.diff(lines)
    session.ui.confirm()
    update_config(session.http, "cloud", chosen, found.text, expected=expected)
    session.ui.line("Cloud config updated.")


def _local_config() -> str:
    """Return where the cloud config for local machines was installed."""
    from importlib.resources import files

    return str(files("director.data") / "cloud-config-local.yml")

"""``director build-stemcell``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from director.cli.command import Command
from director.cli.session import Session
from director.model.errors import StemcellInvalid


@click.command("build-stemcell", cls=Command)
@click.argument("definition", metavar="DIR", type=click.Path(file_okay=False, exists=True))
@click.option(
    "--output",
    metavar="PATH",
    default=".",
    help="The tarball to write, or the directory to write it to (default: here).",
)
@click.option(
    "--cloud-properties",
    metavar="FILE|JSON",
    help="Cloud properties beside the definition's: a YAML file, or JSON such as"
    ' \'{"image_id": "..."}\'. A light stemcell takes its image from them.',
)
@click.option("--version", help="The stemcell's version (default: the time, in UTC).")
@click.pass_obj
def command(
    session: Session,
    definition: str,
    output: str,
    cloud_properties: str | None,
    version: str | None,
) -> None:
    """Build a stemcell from its definition."""
    from director.stemcell.build import build_stemcell

    built = build_stemcell(
        Path(definition).absolute(),
        Path(output).expanduser().absolute(),
        cloud_properties=_properties(cloud_properties) if cloud_properties else {},
        version=version,
        on_progress=session.ui.line,
    )
    session.ui.block(str(built))


def _properties(given: str) -> dict[str, Any]:
    from director.stemcell.document import read_mapping

    if given.lstrip().startswith("{"):
        return read_mapping(given, "--cloud-properties")
    try:
        text = Path(given).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StemcellInvalid(
            f"the cloud properties '{given}' cannot be read: {error}",
            fix="name a YAML file, or write JSON that begins with '{'",
        ) from error
    return read_mapping(text, given)

"""``director build-stemcell``."""

from __future__ import annotations

from pathlib import Path

import click

from director.cli.command import Command
from director.cli.session import Session


@click.command("build-stemcell", cls=Command)
@click.argument("definition", metavar="DIR", type=click.Path(file_okay=False, exists=True))
@click.option(
    "--output",
    metavar="PATH",
    default=".",
    help="The tarball to write, or the directory to write it to (default: here).",
)
@click.pass_obj
def command(session: Session, definition: str, output: str) -> None:
    """Build a stemcell from its definition."""
    from director.stemcell.build import build_stemcell

    built = build_stemcell(
        Path(definition).absolute(),
        Path(output).expanduser().absolute(),
        on_progress=session.ui.line,
    )
    session.ui.block(str(built))

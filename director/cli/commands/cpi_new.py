"""``director cpi new``."""

from __future__ import annotations

from pathlib import Path

import click

from director.cli.command import Command
from director.cli.session import Session


@click.command("cpi new", cls=Command)
@click.argument("name", metavar="NAME")
@click.argument("directory", metavar="[DIR]", required=False)
@click.pass_obj
def command(session: Session, name: str, directory: str | None) -> None:
    """Write the package of a new CPI, to be filled in.

    DIR is director-cpi-NAME unless given. No file is overwritten.
    """
    from cpis.kit.new import check_name, write_package

    names = check_name(name)
    place = Path(directory or names.directory).expanduser()
    for path in write_package(names, place):
        session.ui.block(str(path))
    session.ui.line(f"\nInstall it:    cd {place} && pip install --editable '.[dev]'")
    session.ui.line("See what it lacks:    pytest")

"""``director upload-release``."""

from __future__ import annotations

from pathlib import Path

import click

from director.cli.command import Command
from director.cli.release_upload import Wanted, upload
from director.cli.session import Session


@click.command("upload-release", cls=Command)
@click.argument("location", metavar="[PATH|URL]", required=False)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, exists=True),
    default=".",
    help="The release directory, where no location is given.",
)
@click.option("--rebase", is_flag=True, help="Give it the next version the director can take.")
@click.option("--fix", is_flag=True, help="Send everything, and replace what is there.")
@click.option("--name", help="With a URL: the release's name, to skip it where it is there.")
@click.option("--version", help="With a URL: the release's version, likewise.")
@click.option("--sha1", "digest", help="With a URL: the tarball's digest (also sha256:...).")
@click.pass_obj
def command(
    session: Session,
    location: str | None,
    directory: str,
    rebase: bool,
    fix: bool,
    name: str | None,
    version: str | None,
    digest: str | None,
) -> None:
    """Upload a release; sends only what is missing.

    From a tarball, from a release directory (a development version is built), or from a URL that
    the director downloads itself.
    """
    upload(
        session,
        Wanted(
            location=location or str(Path(directory).absolute()),
            base=Path.cwd(),
            name=name,
            version=version,
            digest=digest,
            rebase=rebase,
            fix=fix,
        ),
    )

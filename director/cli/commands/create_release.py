"""``director create-release``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table, several
from director.model.errors import NotSupported

if TYPE_CHECKING:
    from director.release.release_manifest import ReleaseManifest


@click.command("create-release", cls=Command)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, exists=True),
    default=".",
    help="The release directory.",
)
@click.option("--name", help="A name instead of the one in config/final.yml.")
@click.option("--version", help="A version instead of the next development version.")
@click.option("--timestamp-version", is_flag=True, help="Use the time in the version.")
@click.option("--final", is_flag=True, help="Not available: make a final release.")
@click.option("--tarball", metavar="PATH", help="Write the release to this tarball.")
@click.option("--force", is_flag=True, help="Go on where git has uncommitted changes.")
@click.pass_obj
def command(
    session: Session,
    directory: str,
    name: str | None,
    version: str | None,
    timestamp_version: bool,
    final: bool,
    tarball: str | None,
    force: bool,
) -> None:
    """Create a release from its directory."""
    if final:
        raise NotSupported(
            "final releases are not supported", fix="leave out --final, or give --version"
        )
    from director.release.create_release import create_release

    built = create_release(
        Path(directory).absolute(),
        tarball=Path(tarball).expanduser().absolute() if tarball else None,
        name=name,
        version=version,
        force=force,
        timestamp_version=timestamp_version,
        on_progress=session.ui.line,
    )
    show_release(session, built.manifest, built.tarball)


def show_release(session: Session, manifest: ReleaseManifest, tarball: Path | None) -> None:
    """Show what is in a release."""
    commit = manifest.commit_hash + ("+" if manifest.uncommitted_changes else "")
    header = ["Name", "Version", "Commit Hash"]
    row = [manifest.name, manifest.version, commit]
    if tarball:
        header.append("Archive")
        row.append(str(tarball))
    session.ui.table(Table(content="", header=header, rows=[row], transpose=True))
    session.ui.line("")
    for content, title, needs, entries in (
        ("jobs", "Job", "Packages", manifest.jobs),
        ("packages", "Package", "Dependencies", manifest.packages),
    ):
        session.ui.table(
            Table(
                content=content,
                header=[title, "Digest", needs],
                rows=[
                    [f"{e.name}/{e.fingerprint}", e.digest, several(e.needs)]
                    for e in sorted(entries, key=lambda e: e.name)
                ],
            )
        )

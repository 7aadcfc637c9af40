"""``director upload-stemcell``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.stemcells import stemcell_needed, upload_stemcell, upload_stemcell_url
from director.model.errors import StemcellInvalid

_LARGEST_MANIFEST = 1_000_000


@click.command("upload-stemcell", cls=Command)
@click.argument("location", metavar="PATH|URL")
@click.option("--fix", is_flag=True, help="Replace the stemcell where it is there already.")
@click.option("--name", help="With a URL: the stemcell's name, to skip it where it is there.")
@click.option("--version", help="With a URL: the stemcell's version, likewise.")
@click.option("--sha1", "digest", help="With a URL: the tarball's digest (also sha256:...).")
@click.pass_obj
def command(
    session: Session,
    location: str,
    fix: bool,
    name: str | None,
    version: str | None,
    digest: str | None,
) -> None:
    """Upload a stemcell."""
    remote = urlsplit(location).scheme in ("http", "https")
    path = Path(location.removeprefix("file://")).expanduser()
    if not remote:
        name, version = read_stemcell_mf(path)
    if name and version and not fix and not stemcell_needed(session.http, name, version):
        session.ui.line(f"Stemcell '{name}/{version}' already exists.")
        return
    if remote:
        task_id = upload_stemcell_url(session.http, location, digest=digest, fix=fix)
    else:
        task_id = upload_stemcell(session.http, path, fix=fix)
    session.run(task_id)


def read_stemcell_mf(tarball: Path) -> tuple[str, str]:
    """Return name and version of a stemcell tarball, reading no further than needed."""
    import yaml

    from director.archives import read_archive

    text: str | None = None
    try:
        with tarball.open("rb") as stream:
            for member in read_archive(stream, what=f"'{tarball}'", invalid=StemcellInvalid):
                if member.name == "stemcell.MF" and member.kind == "file":
                    text = member.read(_LARGEST_MANIFEST).decode("utf-8")
                    break
        # The base loader keeps a version such as 1.10 the text it is.
        found: Any = yaml.load(text or "", yaml.BaseLoader)  # noqa: S506 - makes only texts
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StemcellInvalid(f"'{tarball}' cannot be read: {error}") from error
    if not isinstance(found, dict) or not found.get("name") or not found.get("version"):
        raise StemcellInvalid(
            f"'{tarball}' has no stemcell.MF with a name and a version",
            fix="give the tarball of a stemcell",
        )
    return str(found["name"]), str(found["version"])

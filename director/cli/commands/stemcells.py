"""``director stemcells``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table, version_order
from director.client.stemcells import list_stemcells


@click.command("stemcells", cls=Command)
@click.pass_obj
def command(session: Session) -> None:
    """List stemcells."""
    found = sorted(
        list_stemcells(session.http), key=lambda s: version_order(s.version), reverse=True
    )
    session.ui.table(
        Table(
            content="stemcells",
            header=["Name", "Version", "OS", "CPI", "CID"],
            rows=[
                [
                    s.name,
                    s.version + ("*" if s.deployments else ""),
                    s.operating_system,
                    s.cpi,
                    s.cid,
                ]
                for s in sorted(found, key=lambda s: s.name)
            ],
            notes=["(*) Currently deployed"],
        )
    )

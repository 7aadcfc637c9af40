"""``director disks``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Table
from director.client.disks import list_orphans
from director.model.errors import UsageError

_MIB_A_GIB = 1024


@click.command("disks", cls=Command)
@click.option("--orphaned", "-o", is_flag=True, help="List orphaned disks.")
@click.pass_obj
def command(session: Session, orphaned: bool) -> None:
    """List orphaned disks."""
    if not orphaned:
        raise UsageError(
            "only orphaned disks are listed",
            fix="give --orphaned; disks in use stand in 'director instances --details'",
        )
    disks = sorted(list_orphans(session.http), key=lambda disk: disk.orphaned_at, reverse=True)
    session.ui.table(
        Table(
            content="disks",
            header=["Disk CID", "Size", "Deployment", "Instance", "AZ", "Orphaned At"],
            rows=[
                [d.cid, _size(d.size_mb), d.deployment, d.instance, d.az, d.orphaned_at]
                for d in disks
            ],
        )
    )


def _size(mebibytes: int) -> str:
    if mebibytes < _MIB_A_GIB:
        return f"{mebibytes} MiB"
    return f"{mebibytes / _MIB_A_GIB:.1f} GiB"

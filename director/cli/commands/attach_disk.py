"""``director attach-disk``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.slugs import one_instance
from director.client.disks import attach_disk


@click.command("attach-disk", cls=Command)
@click.argument("instance", metavar="GROUP/ID")
@click.argument("disk_cid", metavar="DISK-CID")
@click.option(
    "--disk-properties",
    type=click.Choice(["copy"]),
    help="'copy' takes the properties of the disk that is attached now.",
)
@click.pass_obj
def command(session: Session, instance: str, disk_cid: str, disk_properties: str | None) -> None:
    """Attach a disk to an instance in place of its own.

    The instance must be stopped; the disk it has is orphaned.
    """
    group, given = one_instance(instance)
    deployment = session.deployment()
    task_id = attach_disk(
        session.http,
        deployment,
        group=group,
        instance=session.full_id(group, given) or given,
        cid=disk_cid,
        copy_properties=disk_properties == "copy",
    )
    session.run(task_id)

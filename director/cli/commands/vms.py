"""``director vms``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.instance_table import Shown
from director.cli.listing import show_listing
from director.cli.session import Session


@click.command("vms", cls=Command)
@click.option("--vitals", is_flag=True, help="Show load, CPU, memory and disk use.")
@click.option("--cloud-properties", is_flag=True, help="Show the cloud properties.")
@click.pass_obj
def command(session: Session, vitals: bool, cloud_properties: bool) -> None:
    """List the VMs of a deployment, or of all."""
    shown = Shown(vm=True, vitals=vitals, cloud_properties=cloud_properties)
    show_listing(session, "vms", shown)

"""``director instances``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.instance_table import Shown
from director.cli.listing import show_listing
from director.cli.session import Session


@click.command("instances", cls=Command)
@click.option("--details", "-i", is_flag=True, help="Show CIDs, desired state, index and more.")
@click.option("--vitals", is_flag=True, help="Show load, CPU, memory and disk use.")
@click.option("--ps", "-p", is_flag=True, help="Show processes.")
@click.option("--failing", "-f", is_flag=True, help="Show only what does not run.")
@click.pass_obj
def command(session: Session, details: bool, vitals: bool, ps: bool, failing: bool) -> None:
    """List the instances of a deployment, or of all."""
    shown = Shown(processes=ps, details=details, vitals=vitals)
    show_listing(session, "instances", shown, failing_only=failing)

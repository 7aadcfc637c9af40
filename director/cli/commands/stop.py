"""``director stop``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.state_change import Pace, given, pace_options, run_change, skip_drain_option
from director.model.errors import UsageError


@click.command("stop", cls=Command)
@pace_options
@click.option("--soft", is_flag=True, help="Stop the processes only (default).")
@click.option("--hard", is_flag=True, help="Delete the VMs too; disks are kept.")
@skip_drain_option
@click.pass_obj
def command(
    session: Session,
    pace: Pace,
    soft: bool,
    hard: bool,
    skip_drain: bool,
) -> None:
    """Stop instances."""
    if soft and hard:
        raise UsageError("--soft and --hard exclude each other", fix="give one of them")
    run_change(
        session,
        pace,
        action="stop",
        state="detached" if hard else "stopped",
        options=given(skip_drain=skip_drain),
        alone=given(skip_drain=skip_drain, hard=hard),
    )

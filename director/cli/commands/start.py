"""``director start``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.state_change import Pace, pace_options, run_change


@click.command("start", cls=Command)
@pace_options
@click.pass_obj
def command(
    session: Session,
    pace: Pace,
) -> None:
    """Start instances."""
    run_change(
        session,
        pace,
        action="start",
        state="started",
        options={},
        alone={},
    )

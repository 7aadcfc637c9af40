"""``director restart``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.state_change import Pace, given, pace_options, run_change, skip_drain_option


@click.command("restart", cls=Command)
@pace_options
@skip_drain_option
@click.pass_obj
def command(
    session: Session,
    pace: Pace,
    skip_drain: bool,
) -> None:
    """Restart instances."""
    run_change(
        session,
        pace,
        action="restart",
        state="restart",
        options=given(skip_drain=skip_drain),
        alone=given(skip_drain=skip_drain),
    )

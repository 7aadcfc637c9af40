"""``director recreate``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.state_change import Pace, given, pace_options, run_change, skip_drain_option


@click.command("recreate", cls=Command)
@pace_options
@skip_drain_option
@click.option("--fix", is_flag=True, help="Recreate VMs that do not answer too.")
@click.option(
    "--vms-created-before", metavar="TIME", help="Recreate only VMs older than this (RFC 3339)."
)
@click.option("--dry-run", is_flag=True, help="Show what would happen and change nothing.")
@click.pass_obj
def command(
    session: Session,
    pace: Pace,
    skip_drain: bool,
    fix: bool,
    vms_created_before: str | None,
    dry_run: bool,
) -> None:
    """Recreate the VMs of instances; disks are kept."""
    options = given(
        skip_drain=skip_drain,
        fix=fix,
        dry_run=dry_run,
        recreate_vms_created_before=vms_created_before,
    )
    run_change(
        session,
        pace,
        action="recreate",
        state="recreate",
        options=options,
        alone=given(skip_drain=skip_drain, ignore_unresponsive_agent=fix),
    )

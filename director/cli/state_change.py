"""What start, stop, restart and recreate have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import click

from director.cli.session import Session
from director.cli.slugs import Target, target
from director.client.deployments import act_on_instance, change_state
from director.model.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """On what a change is made, and how fast."""

    instances: str | None
    canaries: str | None
    max_in_flight: str | None
    converge: bool
    no_converge: bool


def pace_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and options of a :class:`Pace`, and that as ``pace``."""

    @functools.wraps(function)
    def command(*args: Any, **values: Any) -> Any:
        pace = Pace(**{field.name: values.pop(field.name) for field in fields(Pace)})
        return function(*args, pace=pace, **values)

    decorated: Callable[..., Any] = command
    options = (
        click.argument("instances", metavar="[GROUP[/ID]]", required=False),
        click.option("--canaries", metavar="AMOUNT", help="Use this instead of the manifest's."),
        click.option(
            "--max-in-flight", metavar="AMOUNT", help="Use this instead of the manifest's."
        ),
        click.option(
            "--converge", is_flag=True, help="Bring the rest of the deployment along (default)."
        ),
        click.option("--no-converge", is_flag=True, help="Act on this one instance only."),
    )
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


skip_drain_option = click.option(
    "--skip-drain", is_flag=True, help="Do not run pre-stop and drain scripts."
)


def given(**options: bool | str | None) -> dict[str, str]:
    """Return the options that were given, as a query's parameters."""
    return {
        name: "true" if value is True else str(value) for name, value in options.items() if value
    }


def run_change(
    session: Session,
    pace: Pace,
    *,
    action: str,
    state: str,
    options: Mapping[str, str],
    alone: Mapping[str, str],
) -> None:
    """Ask, then change the state of what the pace names, and follow the task.

    ``options`` are the converging request's, beside the pace; ``alone`` those of the request for
    one instance.
    """
    if pace.converge and pace.no_converge:
        raise UsageError("--converge and --no-converge exclude each other", fix="give one of them")
    chosen = target(pace.instances)
    deployment = session.deployment()
    instance = session.full_id(chosen.group, chosen.instance)
    dry_run = "dry_run" in options
    if not dry_run:
        session.ui.note(f"{action.capitalize()} {chosen} of deployment '{deployment}'.")
        session.ui.confirm()
    if pace.no_converge:
        session.run(_alone(session, deployment, chosen, instance, action, alone))
        return
    task_id = change_state(
        session.http,
        deployment,
        group=chosen.group,
        instance=instance,
        state=state,
        options={
            **options,
            **given(canaries=pace.canaries, max_in_flight=pace.max_in_flight),
        },
    )
    if dry_run:
        session.ui.block(session.result(task_id))
    else:
        session.run(task_id)


def _alone(
    session: Session,
    deployment: str,
    chosen: Target,
    instance: str | None,
    action: str,
    options: Mapping[str, str],
) -> int:
    if chosen.group is None or instance is None:
        raise UsageError("--no-converge needs one instance", fix="write GROUP/ID")
    return act_on_instance(
        session.http,
        deployment,
        group=chosen.group,
        instance=instance,
        action=action,
        options=options,
    )

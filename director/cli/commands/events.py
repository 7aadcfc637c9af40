"""``director events``."""

from __future__ import annotations

from collections.abc import Mapping

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Failing, Table, moment
from director.client.records import EventInfo, list_events

HEADER = (
    "ID",
    "Time",
    "User",
    "Action",
    "Object Type",
    "Object Name",
    "Task ID",
    "Deployment",
    "Instance",
    "Context",
    "Error",
)


@click.command("events", cls=Command)
@click.option("--before-id", metavar="ID", help="Only events with a smaller id.")
@click.option("--before", "before_time", metavar="TIME", help="Only events before this time.")
@click.option("--after", "after_time", metavar="TIME", help="Only events after this time.")
@click.option("--task", metavar="ID", help="Only events of this task.")
@click.option("--instance", metavar="GROUP/ID", help="Only events of this instance.")
@click.option("--event-user", "user", metavar="NAME", help="Only events of this user.")
@click.option("--action", metavar="NAME", help="Only events with this action.")
@click.option("--object-type", metavar="TYPE", help="Only events about this type of thing.")
@click.option("--object-name", metavar="NAME", help="Only events about the thing of this name.")
@click.pass_obj
def command(session: Session, /, **filters: str | None) -> None:
    """List what was done, when and by whom.

    Newest first, 200 at a time; go on with --before-id.
    """
    wanted = {name: value for name, value in filters.items() if value}
    if session.options.deployment:
        wanted["deployment"] = session.options.deployment
    session.ui.table(
        Table(
            content="events",
            header=HEADER,
            rows=[_row(event) for event in list_events(session.http, wanted)],
            prose=frozenset({"Time", "Context", "Error", "Object Name", "Instance"}),
        )
    )


def _row(event: EventInfo) -> list[str]:
    context = "\n".join(f"{key}: {_plain(value)}" for key, value in event.context.items())
    return [
        f"{event.id} <- {event.parent_id}" if event.parent_id else event.id,
        moment(event.timestamp),
        event.user or "-",
        event.action,
        event.object_type,
        event.object_name or "-",
        event.task or "-",
        event.deployment or "-",
        event.instance or "-",
        context or "-",
        Failing(event.error) if event.error else "-",
    ]


def _plain(value: object) -> str:
    """Return a value in words: lists as their items, objects as ``name item`` with what they hold;
    empty ones are left out."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain(held)}" for key, held in value.items() if held) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)

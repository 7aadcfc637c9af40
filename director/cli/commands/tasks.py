"""``director tasks``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.table import Failing, Table, moment
from director.client.tasks import TaskInfo, list_tasks


@click.command("tasks", cls=Command, optional_values={"--recent": "30", "-r": "30"})
@click.option(
    "--recent",
    "-r",
    type=click.IntRange(1),
    metavar="[=COUNT]",
    help="List the newest tasks instead of the running ones (30 without a count).",
)
@click.option(
    "--all", "-a", "include_all", is_flag=True, help="Include housekeeping (ssh, logs, vms...)."
)
@click.pass_obj
def command(session: Session, recent: int | None, include_all: bool) -> None:
    """List running or recent tasks."""
    found = list_tasks(
        session.http,
        recent=recent,
        include_all=include_all,
        deployment=session.options.deployment,
    )
    session.ui.table(
        Table(
            content="tasks",
            header=[
                "ID",
                "State",
                "Started At",
                "Finished At",
                "User",
                "Deployment",
                "Description",
                "Result",
            ],
            rows=[_row(task) for task in sorted(found, key=lambda t: t.id, reverse=True)],
            prose=frozenset({"Started At", "Finished At", "Description", "Result"}),
        )
    )


def _row(task: TaskInfo) -> list[str]:
    good = task.state == "done" or task.is_running
    return [
        str(task.id),
        task.state if good else Failing(task.state),
        moment(task.started_at),
        moment(task.finished_at),
        task.user,
        task.deployment,
        task.description,
        task.result or "-",
    ]

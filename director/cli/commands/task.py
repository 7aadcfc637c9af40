"""``director task``."""

from __future__ import annotations

import click

from director.cli.command import Command
from director.cli.progress import RawProgress
from director.cli.session import Session
from director.cli.track import expect_done
from director.client.tasks import list_tasks
from director.model.errors import TaskNotFound, UsageError


@click.command("task", cls=Command)
@click.argument("task_id", metavar="[ID]", type=int, required=False)
@click.option("--event", is_flag=True, help="Show the progress lines as the director writes them.")
@click.option("--cpi", is_flag=True, help="Show what the CPI was asked and answered.")
@click.option("--debug", is_flag=True, help="Show the debug log.")
@click.option("--result", is_flag=True, help="Show the result output.")
@click.option(
    "--all", "-a", "include_all", is_flag=True, help="Without an ID: include housekeeping tasks."
)
@click.pass_obj
def command(
    session: Session,
    task_id: int | None,
    event: bool,
    cpi: bool,
    debug: bool,
    result: bool,
    include_all: bool,
) -> None:
    """Show a task and follow it.

    Without an ID: the newest task that runs now. Ctrl-C cancels the task.
    """
    chosen = [
        kind
        for kind, wanted in {"event": event, "cpi": cpi, "debug": debug, "result": result}.items()
        if wanted
    ]
    if len(chosen) > 1:
        raise UsageError("only one kind of output can be shown", fix="give one of the flags")
    found = task_id if task_id is not None else _newest(session, include_all)
    if not chosen:
        session.run(found)
        return
    progress = RawProgress(session.ui.growing_block())
    expect_done(session.follow(found, progress, kind=chosen[0]), [])


def _newest(session: Session, include_all: bool) -> int:
    running = list_tasks(
        session.http, include_all=include_all, deployment=session.options.deployment
    )
    if not running:
        raise TaskNotFound("no task runs now", fix="name one of 'director tasks --recent'")
    return running[0].id

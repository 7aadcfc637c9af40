"""``director ssh``."""

from __future__ import annotations

import shlex

import click

from director.cli.command import Command
from director.cli.gateway_options import gateway_flags
from director.cli.session import Session
from director.cli.slugs import target
from director.cli.ssh import (
    Access,
    Gateway,
    Outcome,
    access,
    interact,
    run_everywhere,
    stream_everywhere,
)
from director.cli.table import Failing, Table
from director.model.errors import TaskFailed, UsageError

SSH_FAILED = 255


@click.command("ssh", cls=Command)
@click.argument("instances", metavar="[GROUP[/ID]]", required=False)
@click.option("--command", "-c", "commands", multiple=True, help="A command to run.")
@click.option("--results", "-r", is_flag=True, help="Collect what it writes into a table.")
@click.option("--opts", multiple=True, metavar="OPTIONS", help="More options for ssh.")
@gateway_flags
@click.pass_obj
def command(
    session: Session,
    instances: str | None,
    commands: tuple[str, ...],
    results: bool,
    opts: tuple[str, ...],
    gateway: Gateway,
) -> None:
    """Open a shell on an instance, or run a command on several.

    A temporary user with sudo is made for it and removed afterwards. With -c, exits with 1 where
    the command fails on an instance.
    """
    interactive = not commands
    if interactive and (results or not session.ui.tty or session.ui.json_mode):
        raise UsageError("a shell needs a terminal", fix="give a command with -c")
    extra = [word for text in opts for word in shlex.split(text)]
    with access(session, target(instances), gateway=gateway, extra=extra) as found:
        if interactive:
            _open_shell(found)
        elif results:
            _show_table(session, found, list(commands))
        else:
            work = [(host, found.shell(host, commands)) for host in found.hosts]
            _judge(stream_everywhere(session, work))


def _open_shell(found: Access) -> None:
    if len(found.hosts) != 1:
        names = ", ".join(host.name for host in found.hosts)
        raise UsageError(
            f"a shell is on one instance, and {len(found.hosts)} match: {names}",
            fix="write GROUP/ID, or give a command with -c",
        )
    code = interact(found.shell(found.hosts[0], []))
    if code == SSH_FAILED:
        raise TaskFailed(f"the connection to '{found.hosts[0].name}' failed or broke")
    if code:
        raise click.exceptions.Exit(1)


def _show_table(session: Session, found: Access, commands: list[str]) -> None:
    work = [(host, found.shell(host, commands)) for host in found.hosts]
    outcomes = run_everywhere(session, work)
    session.ui.table(
        Table(
            content="results",
            header=["Instance", "Stdout", "Stderr", "Exit Code", "Error"],
            rows=[_row(outcome) for outcome in sorted(outcomes, key=lambda o: o.host.name)],
            prose=frozenset({"Stdout", "Stderr", "Error"}),
        )
    )
    _judge({outcome.host.name: outcome.exit_code for outcome in outcomes})


def _row(outcome: Outcome) -> list[str]:
    code = outcome.exit_code
    error = "the connection failed or broke" if code == SSH_FAILED else "-"
    return [
        outcome.host.name,
        outcome.stdout.rstrip("\n"),
        outcome.stderr.rstrip("\n"),
        Failing(code) if code else "0",
        error,
    ]


def _judge(codes: dict[str, int]) -> None:
    failed = [f"'{name}' ({code})" for name, code in sorted(codes.items()) if code]
    if failed:
        raise TaskFailed(f"the command failed on {', '.join(failed)}")

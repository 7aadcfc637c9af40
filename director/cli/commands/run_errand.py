"""``director run-errand``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from director.cli.command import Command
from director.cli.session import Session
from director.cli.slugs import target
from director.cli.table import Failing, Table
from director.client.access import download_resource
from director.client.errands import ErrandResult, parse_results, run_errand
from director.client.tasks import read_result
from director.model.errors import TaskFailed

CANCELLED_FROM = 128


@click.command("run-errand", cls=Command)
@click.argument("name")
@click.option(
    "--instance",
    "instances",
    multiple=True,
    metavar="GROUP[/ID]",
    help="Run on this group or instance only (also GROUP/first); may be repeated.",
)
@click.option("--keep-alive", is_flag=True, help="Keep the errand's VM for the next run.")
@click.option(
    "--when-changed", is_flag=True, help="Skip it if it succeeded before and nothing changed."
)
@click.option("--download-logs", is_flag=True, help="Download the errand's logs.")
@click.option(
    "--logs-dir", type=click.Path(file_okay=False, exists=True), default=".", help="Where to."
)
@click.pass_obj
def command(
    session: Session,
    name: str,
    instances: tuple[str, ...],
    keep_alive: bool,
    when_changed: bool,
    download_logs: bool,
    logs_dir: str,
) -> None:
    """Run an errand.

    Exits with 1 where the errand exits with anything but 0 on an instance.
    """
    wanted: list[dict[str, str]] = []
    for chosen in map(target, instances):
        found = session.full_id(chosen.group, chosen.instance)
        wanted.append({"group": chosen.group or "", **({"id": found} if found else {})})
    task_id = run_errand(
        session.http,
        session.deployment(),
        name,
        keep_alive=keep_alive,
        when_changed=when_changed,
        instances=wanted,
    )
    task = session.run(task_id)
    results = parse_results(read_result(session.http, task_id))
    if not results:
        session.ui.block(task.result or "Nothing was run.")
    else:
        _show(session, results)
    if download_logs:
        for result in results:
            _download(session, name, result, Path(logs_dir))
    _judge(name, results)


def _show(session: Session, results: list[ErrandResult]) -> None:
    header = ["Instance", "Exit Code", "Stdout", "Stderr"]
    if not session.ui.tty and not session.ui.json_mode:
        for result in results:
            session.ui.block(f"{result.instance} exit code {result.exit_code}")
            for text in (result.stdout, result.stderr):
                if text:
                    session.ui.block(text)
        return
    rows = [
        [
            result.instance,
            str(result.exit_code) if result.exit_code == 0 else Failing(result.exit_code),
            result.stdout,
            result.stderr,
        ]
        for result in sorted(results, key=lambda result: (result.exit_code, result.instance))
    ]
    session.ui.table(Table(content="errand(s)", header=header, rows=rows, transpose=True))


def _download(session: Session, name: str, result: ErrandResult, folder: Path) -> None:
    if not result.logs_blob:
        return
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    target_file = folder / f"{name}.{result.instance.replace('/', '.')}-{stamp}.tgz"
    download_resource(session.http, result.logs_blob, target_file)
    session.ui.note(f"Downloaded the errand's logs to '{target_file}'.")


def _judge(name: str, results: list[ErrandResult]) -> None:
    failed = [result for result in results if result.exit_code]
    if not failed:
        return
    worst = failed[0]
    how = "was canceled" if worst.exit_code > CANCELLED_FROM else "completed with error"
    raise TaskFailed(f"Errand '{name}' {how} (exit code {worst.exit_code})")

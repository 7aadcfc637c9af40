"""``director cpi test``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from director.cli.command import Command
from director.cli.document import load_document
from director.cli.interrupts import Cleaning
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session
from director.cli.table import Failing, Table
from director.cli.ui import harmless
from director.model.errors import UsageError

if TYPE_CHECKING:
    from cpis.conformance.suite import Check, Outcome
    from cpis.kit.trial import Trial


@click.command("cpi test", cls=Command)
@click.argument("name", metavar="NAME")
@click.option(
    "--properties",
    "path",
    metavar="FILE",
    help="What to test with: the CPI's 'properties', and a section 'test'.",
)
@document_options
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check; may be repeated.")
@click.option("--list", "only_list", is_flag=True, help="List the checks and run none.")
@click.option(
    "--real", is_flag=True, help="Log into the VMs too: from here, with a key of its own."
)
@click.option(
    "--clean-up",
    metavar="RUN",
    help="Only remove what this run left behind because it was killed.",
)
@click.pass_obj
def command(
    session: Session,
    name: str,
    path: str | None,
    document: DocumentOptions,
    only: tuple[str, ...],
    only_list: bool,
    real: bool,
    clean_up: str | None,
) -> None:
    """Check a CPI against a real account, which it leaves as it was.

    It makes VMs and disks, which may cost money, and removes them, after a Ctrl-C too. FILE is
    explained in docs/writing-a-cpi.md.
    """
    checks = _chosen(only, real=real or only_list)
    if only_list:
        _show_checks(session, checks)
        return
    if path is None:
        raise UsageError("there is nothing to test with", fix="give --properties FILE")
    run_id = clean_up or secrets.token_hex(3)
    trial = _read(name, path, document, run_id=run_id, real=real)
    if clean_up:
        _clean_up(session, trial)
        return
    _warn(session, trial, run_id)
    outcomes = _run(session, trial, checks)
    _show(session, outcomes)
    if any(outcome.problem for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _chosen(only: Sequence[str], *, real: bool) -> Sequence[Check]:
    from cpis.conformance.suite import CHECKS, REAL_CHECKS

    known = {check.__name__: check for check in (*CHECKS, *REAL_CHECKS)}
    for name in only:
        if name not in known:
            raise UsageError(f"there is no check '{name}'", fix="see --list")
        if known[name] in REAL_CHECKS and not real:
            raise UsageError(f"'{name}' logs into VMs", fix="give --real too")
    if only:
        return [known[name] for name in dict.fromkeys(only)]
    return (*CHECKS, *(REAL_CHECKS if real else ()))


def _show_checks(session: Session, checks: Sequence[Check]) -> None:
    from cpis.conformance.suite import REAL_CHECKS, promise_of

    session.ui.table(
        Table(
            content="checks",
            header=["Check", "Logs In", "Promise"],
            rows=[
                [check.__name__, "yes" if check in REAL_CHECKS else "no", promise_of(check)]
                for check in checks
            ],
            prose=frozenset({"Promise"}),
        )
    )


def _read(name: str, path: str, options: DocumentOptions, *, run_id: str, real: bool) -> Trial:
    from cpis.kit.trial import read_trial
    from director.manifest.located_yaml import require_mapping

    document = load_document(path, options)
    data = require_mapping(document.located, "the file")
    if document.missing:
        names = ", ".join(f"'{name}'" for name in document.missing)
        raise UsageError(f"no value was given for {names}", fix="give them with -v or -l")
    beside = Path.cwd() if path == "-" else Path(path).absolute().parent
    return read_trial(name, data and document.data, beside=beside, run_id=run_id, real=real)


def _warn(session: Session, trial: Trial, run_id: str) -> None:
    given = trial.given
    in_all = 40 if given.run else 30
    session.ui.note(
        f"Run {run_id} makes up to {given.vms} VMs at a time, some {in_all} in all, and disks of "
        f"{given.disk_mb} MiB. What the cloud charges for is charged."
    )
    session.ui.confirm()


def _run(session: Session, trial: Trial, checks: Sequence[Check]) -> list[Outcome]:
    from cpis.conformance.suite import promise_of, run_all, unfilled_methods

    missing = unfilled_methods(type(trial.cpi))
    if missing:
        session.ui.note(f"not filled in yet: {', '.join(missing)}")
    say = session.ui.growing_block()
    outcomes: list[Outcome] = []
    run = run_all(
        trial.cpi,
        trial.given,
        checks=checks,
        on_start=lambda check: say(f"{check.__name__}: {promise_of(check)}\n"),
    )
    with Cleaning(session.ui.note, _left_behind(trial)), closing(run):
        for outcome in run:
            outcomes.append(outcome)
            say(f"  {_verdict(outcome)} ({outcome.duration_s:.1f} s){_why(outcome)}\n")
            if outcome.trace and session.options.debug:
                say(harmless(outcome.trace))
    return outcomes


def _show(session: Session, outcomes: Sequence[Outcome]) -> None:
    failed = sum(bool(outcome.problem) for outcome in outcomes)
    session.ui.table(
        Table(
            content="checks",
            header=["Check", "Result", "Seconds", "Why"],
            rows=[
                [
                    outcome.name,
                    Failing("failed") if outcome.problem else _verdict(outcome),
                    f"{outcome.duration_s:.1f}",
                    outcome.problem or outcome.skipped,
                ]
                for outcome in outcomes
            ],
            notes=[f"{failed} failed"] if failed else [],
            prose=frozenset({"Why"}),
        )
    )


def _clean_up(session: Session, trial: Trial) -> None:
    from cpis.conformance.suite import sweep

    for cid in sweep(trial.cpi, trial.given):
        session.ui.block(cid)


def _left_behind(trial: Trial) -> str:
    return (
        "Left: what was made may still be there, and cost money; remove it with "
        f"--clean-up {trial.given.run_id}"
    )


def _verdict(outcome: Outcome) -> str:
    if outcome.problem:
        return "failed"
    return "does not apply" if outcome.skipped else "passed"


def _why(outcome: Outcome) -> str:
    reason = outcome.problem or outcome.skipped
    return f": {harmless(reason)}" if reason else ""

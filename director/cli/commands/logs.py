"""``director logs``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from director.cli.command import Command
from director.cli.gateway_options import gateway_flags
from director.cli.session import Session
from director.cli.slugs import Target, target
from director.cli.ssh import Gateway, access, stream_everywhere
from director.client.access import download_resource, fetch_logs
from director.model.errors import TaskFailed, UsageError

JOB_LOGS = "/var/vcap/sys/log"
AGENT_LOGS = "/var/vcap/bosh/log"


@click.command("logs", cls=Command)
@click.argument("instances", metavar="[GROUP[/ID]]", required=False)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, exists=True),
    default=".",
    help="Where to write the tarball.",
)
@click.option("--follow", "-f", is_flag=True, help="Show lines as they are written.")
@click.option("--num", type=click.IntRange(1), help="Show the last lines, this many a file.")
@click.option("--quiet", "-q", is_flag=True, help="With -f or --num: no file names.")
@click.option("--job", "jobs", multiple=True, help="With -f or --num: only this job's logs.")
@click.option("--only", metavar="GLOBS", help="Only these files, such as 'redis/*.log,cron/*'.")
@click.option("--agent", is_flag=True, help="The machine's own logs instead of the jobs'.")
@click.option("--system", is_flag=True, help="The operating system's logs instead.")
@click.option("--all-logs", is_flag=True, help="All of them.")
@gateway_flags
@click.pass_obj
def command(
    session: Session,
    instances: str | None,
    directory: str,
    follow: bool,
    num: int | None,
    quiet: bool,
    jobs: tuple[str, ...],
    only: str | None,
    agent: bool,
    system: bool,
    all_logs: bool,
    gateway: Gateway,
) -> None:
    """Download or follow the logs of instances.

    Without -f or --num: downloads a tarball.
    """
    chosen = target(instances)
    globs = [glob for glob in (only or "").split(",") if glob]
    if follow or num:
        script = tail_script(
            folder=AGENT_LOGS if agent else JOB_LOGS,
            patterns=[f"{job}/*.log" for job in jobs] or globs,
            follow=follow,
            num=num,
            quiet=quiet,
        )
        _tail(session, chosen, script, gateway)
        return
    if jobs:
        raise UsageError("--job goes with -f or --num", fix="give --only 'JOB/*' instead")
    kinds = _kinds(agent=agent, system=system, all_logs=all_logs)
    _fetch(session, chosen, kinds, globs, Path(directory))


def tail_script(
    *, folder: str, patterns: Sequence[str], follow: bool, num: int | None, quiet: bool
) -> str:
    """Return a command that shows the ends of logs; run it as the temporary user.

    Patterns are expanded on the instance, by root; quoting keeps them from being anything else.
    """
    words = ["tail", *(["-F"] if follow else []), *(["-n", str(num)] if num else [])]
    words += ["-q"] if quiet else []
    tests = " -o ".join(f"-path {shlex.quote(f'{folder}/{pattern}')}" for pattern in patterns)
    where = f"\\( {tests} \\)" if tests else "-name '*.log'"
    find = f"find {folder}/ -type f {where} -print0"
    return shlex.join(["sudo", "sh", "-c", f"{find} | xargs -0 -r {shlex.join(words)} --"])


def _kinds(*, agent: bool, system: bool, all_logs: bool) -> str:
    if all_logs:
        return "agent,job,system"
    chosen = [kind for kind, wanted in {"agent": agent, "system": system}.items() if wanted]
    return ",".join(chosen) or "job"


def _tail(session: Session, chosen: Target, script: str, gateway: Gateway) -> None:
    with access(session, chosen, gateway=gateway) as found:
        work = [(host, found.shell(host, [script])) for host in found.hosts]
        codes = stream_everywhere(session, work)
    failed = [f"'{name}'" for name, code in codes.items() if code]
    if failed:
        raise TaskFailed(f"the logs of {', '.join(failed)} could not be read")


def _fetch(
    session: Session, chosen: Target, kinds: str, globs: Sequence[str], folder: Path
) -> None:
    deployment = session.deployment()
    instance = session.full_id(chosen.group, chosen.instance)
    task = session.run(
        fetch_logs(
            session.http,
            deployment,
            group=chosen.group,
            instance=instance,
            kind=kinds,
            filters=globs,
        )
    )
    parts = [part for part in (deployment, chosen.group, chosen.instance) if part]
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    file = folder / f"{'.'.join(parts)}-{stamp}.tgz"
    download_resource(session.http, task.result.strip(), file)
    session.ui.note(f"Downloaded the logs to '{file}'.")
    session.ui.block(str(file))

"""``director scp``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from director.cli.command import Command
from director.cli.gateway_options import gateway_flags
from director.cli.session import Session
from director.cli.slugs import Target, target
from director.cli.ssh import Access, Gateway, access, run_everywhere
from director.client.access import SshHost
from director.model.errors import TaskFailed, UsageError


@click.command("scp", cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH... PATH")
@click.option("--recursive", "-r", is_flag=True, help="Copy directories with what is in them.")
@gateway_flags
@click.pass_obj
def command(session: Session, paths: tuple[str, ...], recursive: bool, gateway: Gateway) -> None:
    """Copy files to and from instances.

    A path on an instance is GROUP/ID:PATH; GROUP:PATH is on every instance of a group, and :PATH
    on all. In a local path, ((instance_id)) stands for the instance's id.

    For example: director scp redis/0:/var/vcap/sys/log/redis/redis.stdout.log .
    """
    chosen = remote_target(paths)
    with access(session, chosen, gateway=gateway) as found:
        if len(found.hosts) > 1:
            _check_several(paths, found.hosts)
        work = [
            (host, _command_for(found, host, paths, recursive=recursive)) for host in found.hosts
        ]
        outcomes = run_everywhere(session, work)
    for outcome in outcomes:
        for line in (outcome.stdout + outcome.stderr).splitlines():
            session.ui.note(f"{outcome.host.name}: {line}")
    failed = [f"'{outcome.host.name}'" for outcome in outcomes if outcome.exit_code]
    if failed:
        raise TaskFailed(f"copying failed for {', '.join(failed)}")


def split_remote(path: str) -> tuple[str, str] | None:
    """Return instances and path of ``group/id:path``; None for a local path."""
    where, colon, rest = path.partition(":")
    if not colon or where.startswith((".", "/", "~")):
        return None
    return where, rest


def remote_target(paths: Sequence[str]) -> Target:
    """Return the one set of instances that ``paths`` name."""
    if len(paths) < 2:
        raise UsageError("copying needs a source and a target", fix="give both")
    named = {found[0] for path in paths if (found := split_remote(path))}
    if len(named) != 1:
        what = "several sets of instances are named" if named else "no path is on an instance"
        raise UsageError(what, fix="write GROUP/ID:PATH for the paths on one of them")
    return target(named.pop() or None)


def _check_several(paths: Sequence[str], hosts: Sequence[SshHost]) -> None:
    """Refuse to let the files of several instances overwrite each other."""
    if split_remote(paths[-1]) is None and "((instance_id))" not in paths[-1]:
        raise UsageError(
            f"{len(hosts)} instances would write to '{paths[-1]}'",
            fix="put ((instance_id)) into the local path, or name one instance",
        )


def _command_for(
    found: Access, host: SshHost, paths: Sequence[str], *, recursive: bool
) -> list[str]:
    command = ["scp", *(["-r"] if recursive else []), *found.options(), "--"]
    address = f"[{host.address}]" if ":" in host.address else host.address
    for path in paths:
        remote = split_remote(path)
        if remote is not None:
            command.append(f"{found.user}@{address}:{remote[1]}")
        else:
            local = path.replace("((instance_id))", host.id)
            # scp takes what has a colon before any slash for a host.
            command.append(local if local.startswith(("/", ".")) else str(Path(".") / local))
    return command

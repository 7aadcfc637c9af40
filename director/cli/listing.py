"""Listing the instances or VMs of one deployment, or of each."""

from __future__ import annotations

from director.cli.instance_table import Shown, columns, rows
from director.cli.session import Session
from director.cli.table import Table
from director.client.deployments import list_deployments
from director.client.instances import list_full, parse_full

PROSE = frozenset({"Stemcell", "VM CID", "Disk CIDs", "Agent ID", "Cloud Properties"})


def show_listing(session: Session, kind: str, shown: Shown, *, failing_only: bool = False) -> None:
    """Show the ``instances`` or ``vms`` of the deployment of ``-d``, else of all deployments."""
    if session.options.deployment:
        names = [session.options.deployment]
    else:
        names = [deployment.name for deployment in list_deployments(session.http)]
    for place, name in enumerate(names):
        infos = parse_full(session.result(list_full(session.http, name, kind)))
        if failing_only:
            infos = [info for info in infos if not info.is_running]
        if place:
            session.ui.line("")
        session.ui.table(
            Table(
                title=f"Deployment '{name}'\n",
                content=kind,
                header=[title for title, _, _ in columns(shown)],
                rows=rows(shown, infos, failing_only=failing_only),
                prose=PROSE,
                counted=len(infos),
            )
        )
    if not names:
        session.ui.line("No deployments.")

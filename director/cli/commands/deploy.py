"""``director deploy``."""

from __future__ import annotations

from typing import Any

import click

from director.cli.command import Command
from director.cli.document import Document, load_document, positions, translator
from director.cli.manifest_releases import brought_along, planned_releases, upload_releases
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session
from director.cli.state_change import given
from director.client.deployments import deploy, diff_manifest
from director.model.errors import ManifestError, UsageError

SENT_AS = "manifest"
"""What a director calls the manifest it was sent, in the positions of its errors."""


@click.command("deploy", cls=Command, optional_values={"--skip-drain": "*"})
@click.argument("path", metavar="MANIFEST")
@document_options
@click.option("--dry-run", is_flag=True, help="Show what would happen and change nothing.")
@click.option("--recreate", is_flag=True, help="Recreate all VMs.")
@click.option("--recreate-persistent-disks", is_flag=True, help="Recreate all persistent disks.")
@click.option("--fix", is_flag=True, help="Recreate VMs that do not answer instead of failing.")
@click.option("--fix-releases", is_flag=True, help="Upload releases again and replace them.")
@click.option("--skip-upload-releases", is_flag=True, help="Upload no releases.")
@click.option(
    "--skip-drain",
    multiple=True,
    metavar="[=GROUP[/ID]]",
    help="Do not run pre-stop and drain scripts, there or anywhere; may be repeated.",
)
@click.option("--canaries", metavar="AMOUNT", help="Use this instead of the manifest's.")
@click.option("--max-in-flight", metavar="AMOUNT", help="Use this instead of the manifest's.")
@click.option(
    "--force-latest-variables", is_flag=True, help="Use the newest values of all variables."
)
@click.option("--no-redact", is_flag=True, help="Show property values in the difference.")
@click.pass_obj
def command(
    session: Session,
    /,
    path: str,
    document: DocumentOptions,
    dry_run: bool,
    skip_drain: tuple[str, ...],
    fix_releases: bool,
    skip_upload_releases: bool,
    no_redact: bool,
    **flags: Any,
) -> None:
    """Deploy a manifest: create or change a deployment.

    MANIFEST may be - for standard input. Shows the difference to what is deployed and asks. A
    deploy that was stopped or failed is gone on with by the same command.
    """
    found = load_document(path, document)
    name = deployment_name(session, found)
    options = given(skip_drain=",".join(skip_drain), dry_run=dry_run, **flags)
    session.translate = translator(SENT_AS, positions(found, found.text))
    if dry_run:
        _show_plan(session, found, name, options)
        return
    text = _with_releases(
        session, found, skip_upload=skip_upload_releases, fix_releases=fix_releases
    )
    session.translate = translator(SENT_AS, positions(found, text))
    diff = diff_manifest(session.http, name, text, redact=not no_redact)
    session.ui.line(f"Using deployment '{name}'")
    session.ui.diff(diff.lines)
    if diff.error and session.ui.interactive:
        # Without a question, the deploy itself says the same at once.
        session.ui.note(session.translate(diff.error))
    session.ui.confirm()
    session.run(deploy(session.http, text, options=options, context=diff.context))


def deployment_name(session: Session, found: Document) -> str:
    """Return the name in the manifest; raises where it has none, or ``-d`` says another."""
    from director.manifest.located_yaml import require_mapping

    name = require_mapping(found.located, "deployment manifest").get("name")
    if not isinstance(name, str) or not name:
        raise ManifestError(
            "the manifest has no name",
            where=found.located.where(("name",)),
            fix="add 'name: ...' at its top",
        )
    wanted = session.options.deployment
    if wanted and wanted != name:
        raise UsageError(
            f"the manifest is of deployment '{name}', and -d (or BOSH_DEPLOYMENT) says '{wanted}'",
            fix="leave out -d, or give the manifest of that deployment",
        )
    return name


def _with_releases(
    session: Session, found: Document, *, skip_upload: bool, fix_releases: bool
) -> str:
    """Return the text to send, after uploading the releases that the manifest brings along."""
    from director.manifest.emit import emit

    if skip_upload or not brought_along(found.data):
        return found.text
    _check_first(found)
    data = upload_releases(session, found, fix=fix_releases)
    return found.text if data == found.data else emit(data)


def _check_first(found: Document) -> None:
    """Raise what is wrong with the manifest itself, before minutes go into building releases."""
    from director.manifest.read_deployment import read_deployment

    read_deployment(found.text, SENT_AS)


def _show_plan(session: Session, found: Document, name: str, options: dict[str, str]) -> None:
    from director.manifest.emit import emit

    data, held = planned_releases(found)
    text = found.text if data == found.data else emit(data)
    session.translate = translator(SENT_AS, positions(found, text))
    for release in held:
        session.ui.note(
            f"Release '{release}' is neither built nor uploaded by a dry run; "
            "it is planned as the director has it."
        )
    session.ui.line(f"Plan for deployment '{name}':\n")
    plan = session.result(deploy(session.http, text, options=options, context=None))
    session.ui.block(session.translate(plan))

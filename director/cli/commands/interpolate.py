"""``director interpolate``."""

from __future__ import annotations

from typing import Any

import click

from director.cli.command import Command
from director.cli.document import Document, load_document
from director.cli.options import DocumentOptions, document_options
from director.cli.session import Session
from director.model.errors import VariableError


@click.command("interpolate", cls=Command)
@click.argument("path", metavar="PATH")
@document_options
@click.option("--path", "inner_path", metavar="OP-PATH", help="Show only this, such as /name.")
@click.option("--var-errs", is_flag=True, help="Fail where a variable is missing.")
@click.option("--var-errs-unused", is_flag=True, help="Fail where a variable is not used.")
@click.pass_obj
def command(
    session: Session,
    path: str,
    document: DocumentOptions,
    inner_path: str | None,
    var_errs: bool,
    var_errs_unused: bool,
) -> None:
    """Apply ops files and variables to a file.

    PATH may be - for standard input. Variables that are not given stay as they are.
    """
    found = load_document(path, document)
    _check(found, var_errs=var_errs, var_errs_unused=var_errs_unused)
    session.ui.block(_shown(found, inner_path))


def _shown(found: Document, inner_path: str | None) -> str:
    from director.manifest.emit import emit
    from director.manifest.ops_files import find_path

    data: Any = found.data if inner_path is None else find_path(found.data, inner_path)
    if inner_path is not None and isinstance(data, str):
        return data
    return emit(data).removesuffix("...\n")


def _check(found: Document, *, var_errs: bool, var_errs_unused: bool) -> None:
    if var_errs and found.missing:
        names = ", ".join(f"'{name}'" for name in found.missing)
        raise VariableError(f"no value was given for {names}", fix="give them with -v or -l")
    if var_errs_unused and found.unused:
        names = ", ".join(f"'{name}'" for name in found.unused)
        raise VariableError(f"nothing uses {names}", fix="take them out, or correct the names")

"""Options shared by commands: the global ones, and those for manifests and other documents."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from director.model.secret import Secret

if TYPE_CHECKING:
    from contextlib import ExitStack

    from director.client.http import Http


Connect = Callable[["GlobalOptions", "ExitStack"], "Http"]
"""Opens the way to a director; what must be closed with it goes onto the stack."""


@dataclass(slots=True, kw_only=True)
class GlobalOptions:
    """What was given before or after the command's name; the later one counts.

    ``connect`` stands in for the usual way to a director.
    """

    home: str | None = None
    environment: str | None = None
    ca_cert: str | None = None
    client: str | None = None
    client_secret: Secret | None = None
    deployment: str | None = None
    column: tuple[str, ...] = ()
    json: bool = False
    tty: bool = False
    no_color: bool = False
    non_interactive: bool = False
    parallel: int = 5
    debug: bool = False
    connect: Connect | None = None


def global_options(*, with_environment: bool) -> list[click.Option]:
    """Return the options every command takes too, reading the environment or not.

    The environment is read once, before the command's name, so that it never wins over an option.
    """

    def made(*names: str, env: str | None = None, **more: Any) -> click.Option:
        return click.Option(
            names,
            expose_value=False,
            callback=_keep,
            envvar=env if with_environment else None,
            show_envvar=with_environment and env is not None,
            default=None,
            **more,
        )

    return [
        made(
            "--environment",
            "-e",
            env="BOSH_ENVIRONMENT",
            metavar="URL",
            help="A director elsewhere; without it, the director runs in this process.",
        ),
        made(
            "--home",
            env="DIRECTOR_HOME",
            metavar="DIR",
            help="Where the director in this process keeps its state (default ~/.director).",
        ),
        made("--ca-cert", env="BOSH_CA_CERT", help="The CA that signed it: a path, or PEM text."),
        made("--client", env="BOSH_CLIENT", help="The user to be there."),
        made("--client-secret", env="BOSH_CLIENT_SECRET", help="Its password."),
        made("--deployment", "-d", env="BOSH_DEPLOYMENT", metavar="NAME", help="The deployment."),
        made("--json", is_flag=True, help="Print one JSON document."),
        made(
            "--column",
            multiple=True,
            metavar="TITLE",
            help="Show only this column of a table; may be repeated.",
        ),
        made("--tty", env="BOSH_TTY", is_flag=True, help="Print as to a terminal."),
        made("--no-color", is_flag=True, help="Print without colors."),
        made(
            "--non-interactive",
            "-n",
            env="BOSH_NON_INTERACTIVE",
            is_flag=True,
            help="Do not ask.",
        ),
        made("--parallel", type=click.IntRange(1), help="SSH connections at a time (default 5)."),
        made(
            "--debug",
            env="DIRECTOR_DEBUG",
            is_flag=True,
            help="Show the Python traceback of an internal error.",
        ),
    ]


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is None or value == () or value is False or option.name is None:
        return
    options = context.find_object(GlobalOptions)
    if options is not None:
        kept = Secret(value) if option.name == "client_secret" else value
        setattr(options, option.name, kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOptions:
    """Ops files and variables for a document, as given on the command line."""

    ops_files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    variable_files: tuple[str, ...] = ()
    variables_files: tuple[str, ...] = ()
    variables_env: tuple[str, ...] = ()
    variables_store: str | None = None


def document_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-o``, ``-v`` and their like, as one argument ``document``."""

    @functools.wraps(function)
    def with_document(*args: Any, **kwargs: Any) -> Any:
        names = DocumentOptions.__slots__
        document = DocumentOptions(**{name: kwargs.pop(name) for name in names})
        return function(*args, document=document, **kwargs)

    options = (
        click.option(
            "--ops-file",
            "-o",
            "ops_files",
            multiple=True,
            metavar="PATH",
            help="Apply the operations in this file; may be repeated.",
        ),
        click.option(
            "--var",
            "-v",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help="Set a variable; the value is YAML.",
        ),
        click.option(
            "--var-file",
            "variable_files",
            multiple=True,
            metavar="NAME=PATH",
            help="Set a variable to the text of a file.",
        ),
        click.option(
            "--vars-file",
            "-l",
            "variables_files",
            multiple=True,
            metavar="PATH",
            help="Set variables from a YAML file.",
        ),
        click.option(
            "--vars-env",
            "variables_env",
            multiple=True,
            metavar="PREFIX",
            help="Set variables from the environment: PREFIX_name=value.",
        ),
        click.option(
            "--vars-store",
            "variables_store",
            metavar="PATH",
            help="Read variables from this YAML file, and write those it generates to it.",
        ),
    )
    for option in reversed(options):
        with_document = option(with_document)
    return with_document

"""``director completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from director.cli.command import Command
from director.cli.session import Session

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that completes commands in a shell.

    For bash: source <(director completion bash)
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, "director", "_DIRECTOR_COMPLETE").source()
    session = context.obj
    assert isinstance(session, Session)
    session.ui.block(script)

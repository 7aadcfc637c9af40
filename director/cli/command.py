"""How commands are found and called: lazily, with the bosh CLI's habits for options.

- A global option may stand before or after the command's name.
- ``-o=x`` is ``-o x``, and an option with an optional value takes one only after ``=``.
- ``-n`` after a command means what it means before it.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from director.cli.catalogue import ALIASES, COMMANDS, GROUPS, NOT_YET, THEMES
from director.cli.options import GlobalOptions, global_options
from director.cli.session import open_session
from director.model.errors import DirectorError

FAILED = 1


class Command(click.Command):
    """A command that is called with a session, and ends it."""

    def __init__(
        self, *args: Any, optional_values: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        """``optional_values`` are options that may stand alone, and what they mean then."""
        super().__init__(*args, **kwargs)
        self._optional_values = optional_values or {}
        own = {name for param in self.params for name in param.opts}
        self._globals: list[click.Parameter] = []
        for option in global_options(with_environment=False):
            if not own.intersection(option.opts):
                option.hidden = True
                self._globals.append(option)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *self._globals]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self._in_clicks_way(ctx, args))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("The options of 'director --help' may stand here too.")

    def invoke(self, ctx: click.Context) -> Any:
        session = open_session(ctx.ensure_object(GlobalOptions))
        ctx.obj = session
        code = 0
        try:
            super().invoke(ctx)
        except DirectorError as error:
            session.ui.error(session.explain(error))
            code = FAILED
        except click.exceptions.Exit as left:
            code = left.exit_code
        except KeyboardInterrupt:
            session.abandoned = True
            raise
        finally:
            session.close()
            session.ui.finish()
        if code:
            raise click.exceptions.Exit(code)

    def _in_clicks_way(self, ctx: click.Context, args: Sequence[str]) -> list[str]:
        short = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
            if len(name) == 2
        }
        found: list[str] = []
        for place, arg in enumerate(args):
            if arg == "--":
                return [*found, *args[place:]]
            if arg in self._optional_values:
                found.append(f"{arg}={self._optional_values[arg]}" if len(arg) > 2 else arg)
                if len(arg) == 2:
                    found.append(self._optional_values[arg])
            elif arg[:2] in short and arg[2:3] == "=":
                found += [arg[:2], arg[3:]]
            else:
                found.append(arg)
        return found


class Commands(click.Group):
    """All commands, or those of one group (``group="cpi"``); each is imported when called."""

    def __init__(self, *args: Any, group: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prefix = f"{group} " if group else ""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name.removeprefix(self._prefix) for name in self._full_names()]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        name = self._prefix + cmd_name
        if name in GROUPS:
            return _group(name)
        entry = COMMANDS.get(ALIASES.get(name, name))
        if entry is None:
            return None
        found = importlib.import_module(entry.module).command
        assert isinstance(found, click.Command)
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A group alone shows its help, and that is no error; the program itself does so in main.
        return super().parse_args(ctx, args or (["--help"] if self._prefix else args))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise click.UsageError(_unknown(self._prefix + args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        shown = set(self._full_names())
        for theme, entries in THEMES.items():
            rows = [
                (", ".join((entry.name, *entry.aliases)), entry.help.rstrip("."))
                for entry in entries
                if entry.name in shown
            ]
            if rows:
                with formatter.section(theme):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        helps = {
            name.removeprefix(self._prefix): COMMANDS[name].help for name in self._full_names()
        }
        if not self._prefix:
            helps = {name: text for name, text in helps.items() if " " not in name} | GROUPS
        found = [
            CompletionItem(name, help=text)
            for name, text in helps.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def _full_names(self) -> list[str]:
        return [name for name in COMMANDS if name.startswith(self._prefix)]


def _group(name: str) -> Commands:
    """Return the commands whose names begin with this word; without a second one, its help."""
    made = Commands(
        name,
        group=name,
        help=GROUPS[name],
        params=list(global_options(with_environment=False)),
        no_args_is_help=False,
    )
    for option in made.params:
        assert isinstance(option, click.Option)
        option.hidden = True
    return made


def _unknown(name: str) -> str:
    if name in NOT_YET:
        return f"'{name}' is a command of the bosh CLI that this director does not have"
    near = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see 'director --help'"
    return f"there is no command '{name}'; {hint}"

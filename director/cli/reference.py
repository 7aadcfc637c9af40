"""The reference of all commands, ``docs/cli.md``, from the commands themselves.

``python -m director.cli.reference > docs/cli.md`` writes it; a test compares.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click

from director.cli.catalogue import THEMES, Entry
from director.cli.main import make_program

INTRODUCTION = """\
# The command line

Written by `python -m director.cli.reference`: change the commands, not this file.

`director COMMAND --help` shows the same as below. Names, aliases, options, exit codes, table
headers and the shape of `--json` are those of the `bosh` CLI, so that scripts and habits keep
working.

## In general

- **Which director.** Without `-e` the director runs in the process of the command, with its state
  in `--home` (or `$DIRECTOR_HOME`, default `~/.director`); several commands at once share it. With
  `-e HOST[:PORT]` (or `BOSH_ENVIRONMENT`) the command talks HTTPS to a director elsewhere (port
  25555), as `--client` with `--client-secret`, trusting `--ca-cert`.
- **Which deployment.** `-d NAME` or `BOSH_DEPLOYMENT`. It may be left out where the manifest names
  the deployment, and where only one exists. `instances` and `vms` without it show all.
- **Which instances.** `GROUP`, `GROUP/INDEX` or `GROUP/ID`; the beginning of an id is enough.
- **Questions.** Commands that change or delete something ask first. `-n` says yes beforehand;
  without a terminal to ask in and without `-n` they refuse.
- **Output.** In a terminal, tables are fitted to its width: ids are shortened, long texts folded,
  and what still does not fit is shown row by row. In a pipe, a table is one line a row with aligned
  columns under their titles; empty cells are `-`, several values in a cell are joined by commas,
  and nothing is cut or folded. Talk such as "Using deployment" is left out of a pipe. `--json`
  prints one document: `{"Tables": [{"Content", "Header", "Rows", "Notes"}], "Blocks": [],
  "Lines": []}`, with null for what is empty. `--column` picks columns.
- **Ctrl-C** while a task is followed asks the director to cancel it; the task stops at its next
  checkpoint, which the command waits for. A second Ctrl-C leaves at once. A director in the
  command's process ends with it: its task is marked by the next command, and the same command goes
  on from what is there.
- **Errors** go to standard error: what is wrong, where (file:line:column, in your own file even
  after ops files and variables), and a line `Fix:`. An internal error is one line; `--debug` or
  `DIRECTOR_DEBUG=1` shows its traceback.
- **Exit codes.** 0: done. 1: anything went wrong, also a task that failed or was cancelled, a wrong
  option, an errand or an `ssh -c` command that failed. 130: left with Ctrl-C.
- **Completion.** `source <(director completion bash)`, `source <(director completion zsh)`, or
  `director completion fish | source`.

## Global options

They may stand before or after the command's name.

"""


def reference() -> str:
    """Return the text of ``docs/cli.md``."""
    program = make_program()
    context = click.Context(program, info_name="director")
    parts = [INTRODUCTION, "\n".join(_options(context, program.params)), "\n"]
    for theme, entries in THEMES.items():
        parts.append(f"\n## {theme}\n")
        parts += [_section(program, context, entry) for entry in entries]
    return "".join(parts)


def _section(program: click.Group, parent: click.Context, entry: Entry) -> str:
    command = program.get_command(parent, entry.name)
    assert command is not None
    context = click.Context(command, info_name=entry.name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    names = "".join(f", `{alias}`" for alias in entry.aliases)
    lines = [
        f"\n### `{entry.name}`{names}\n",
        f"`director {entry.name} {usage}`\n",
        f"{inspect.cleandoc(command.help or '')}\n",
    ]
    options = list(_options(context, command.params))
    if options:
        lines.append("\n".join(options) + "\n")
    return "\n".join(lines)


def _options(context: click.Context, params: Iterable[click.Parameter]) -> Iterator[str]:
    for param in params:
        record = None if getattr(param, "hidden", False) else param.get_help_record(context)
        if record is not None:
            yield f"- `{record[0]}`: {record[1]}"


if __name__ == "__main__":
    print(reference(), end="")

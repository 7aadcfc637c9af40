"""Every command and every flag is documented, and the catalogue says what the commands say."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import pytest

from director.cli.catalogue import ALIASES, COMMANDS, NOT_YET
from director.cli.command import Command
from director.cli.main import make_program
from director.cli.reference import reference

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"
COMMAND_FOLDER = Path(__file__).parents[3] / "director" / "cli" / "commands"


def test_document_is_up_to_date():
    """Else run ``python -m director.cli.reference > docs/cli.md``."""
    assert DOCS.read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("name", COMMANDS)
def test_command(name):
    entry = COMMANDS[name]
    command = importlib.import_module(entry.module).command
    assert isinstance(command, Command)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == entry.help
    section = reference().split(f"\n### `{name}`")[1].split("\n### ")[0]
    for param in command.params:
        assert param.metavar is None or param.metavar.strip("[]=")[:4] in section
        if isinstance(param, click.Option):
            assert param.help, param.name
            assert all(f"{option}" in section for option in param.opts)


def test_names_are_unique():
    assert len(ALIASES) == sum(len(entry.aliases) for entry in COMMANDS.values())
    assert not set(ALIASES) & set(COMMANDS)
    assert not NOT_YET & {*ALIASES, *COMMANDS}


def test_every_module_is_a_command():
    files = {file.stem for file in COMMAND_FOLDER.glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_").replace(" ", "_") for name in COMMANDS}


def test_global_options_are_documented():
    general = reference().split("\n## ")[2]
    for param in make_program().params:
        assert all(option in general for option in param.opts)

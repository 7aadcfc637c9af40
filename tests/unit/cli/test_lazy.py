"""Help is cheap: it loads no command, no HTTP client, no rich, no director."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("httpx", "rich", "yaml", "director.app", "director.cli.commands", "starlette", "paramiko")


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_loads_little():
    loaded = loaded_by("from director.cli.main import run\nassert run(['--help']) == 0")
    assert not loaded.intersection(HEAVY)


def test_completing_a_command_loads_no_command():
    loaded = loaded_by(
        "import os\n"
        "os.environ.update(_DIRECTOR_COMPLETE='bash_complete', COMP_WORDS='director ins',"
        " COMP_CWORD='1')\n"
        "from director.cli.main import run\n"
        "try: run([])\n"
        "except SystemExit: pass"
    )
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize(
    ("args", "code", "out", "err"),
    [
        (["--version"], 0, "director ", ""),
        (["no-such-command"], 1, "", "there is no command 'no-such-command'"),
    ],
)
def test_a_process_leaves_at_once_with_all_it_said(args, code, out, err):
    done = subprocess.run(
        [sys.executable, "-m", "director", *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert done.stdout.startswith(out)
    assert done.stderr.startswith(err)


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "director", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr

"""The commands that the documents show and mark with ``<!-- test: NAME -->`` do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_director import ENDLESS_S, REPOSITORY, Director

MARK = re.compile(r"^<!-- test: ([a-z-]+) -->\n+```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_COPIED = shutil.ignore_patterns(".*", "build", "__pycache__", "dev_releases", "*.egg-info")


@dataclass(frozen=True)
class Example:
    """A block of commands in a document."""

    document: Path
    name: str
    commands: str

    def __str__(self) -> str:
        return f"{self.document.name}:{self.name}"


def examples() -> list[Example]:
    documents = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    return [
        Example(document, *found)
        for document in sorted(documents)
        for found in MARK.findall(document.read_text())
    ]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, set up as the quickstart leaves it, for commands to write into."""
    copy = tmp_path_factory.mktemp("checkout") / "director"
    shutil.copytree(REPOSITORY, copy, ignore=NOT_COPIED)
    (copy / ".venv").symlink_to(REPOSITORY / ".venv")
    return copy


def run(example: Example, checkout: Path, director: Director) -> str:
    """Run an example's commands in a shell that stops at the first that fails."""
    done = subprocess.run(
        ["sh", "-eu", "-c", example.commands],
        cwd=checkout,
        env=director.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=ENDLESS_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_no_mark_is_overlooked() -> None:
    found = examples()
    for document in {example.document for example in found}:
        marks = document.read_text().count("<!-- test:")
        assert marks == sum(example.document == document for example in found), document
    assert "README.md:own-deployment" in map(str, found)


@pytest.mark.machines
@pytest.mark.parametrize("example", examples(), ids=str)
def test_marked_commands_run(example: Example, checkout: Path, director: Director) -> None:
    before = {row["name"] for row in director.rows("deployments")}
    try:
        said = run(example, checkout, director)
        if example.name == "own-deployment":
            assert "Warning" not in said
            processes = re.findall(r"^greeter/\S+ +greeter +running\b", said, re.MULTILINE)
            assert len(processes) == 2, said
            assert re.search(r"^greeter/\S+: stdout \| greeter$", said, re.MULTILINE), said
    finally:
        for row in director.rows("deployments"):
            if row["name"] not in before:
                director.run("-d", row["name"], "delete-deployment", "--force")

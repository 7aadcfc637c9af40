"""What docs/errors.md shows is what the command line says."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_director import REPOSITORY, Director, prepare
from tiny_release import CTL, Job, write_tiny_release

pytestmark = pytest.mark.machines

PAGE = REPOSITORY / "docs" / "errors.md"
CLOUD = """\
azs: [{name: z1}]
vm_types: [{name: small, cloud_properties: {cpu: 1, memory: 256}}]
networks:
- name: default
  subnets:
  - {az: z1, range: 10.231.0.160/27, gateway: 10.231.0.161, static: [10.231.0.170-10.231.0.180]}
"""
JOBS = {
    "web": Job(
        templates={
            "config/port": "<%= p('port') %>\n",
            "bin/ctl": "<% unless p('starts') %>#!/bin/sh\nexit 1\n<% end %>"
            + CTL.format(name="web"),
        },
        properties={"port": {}, "welcome": {"default": "Hello"}, "starts": {"default": True}},
        provides=[{"name": "site", "type": "site"}],
    ),
    "mirror": Job(provides=[{"name": "copy", "type": "site"}]),
    "reader": Job(consumes=[{"name": "site", "type": "site"}]),
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A command, the lines it says, and the change to ``shop.yml`` it is given after."""

    command: list[str]
    said: list[str]
    change: list[str]

    def __str__(self) -> str:
        return " ".join(self.change[-1:] or self.command)


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    found = re.findall(r"^<!-- file: (\S+) -->\n```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return dict(found)


def examples() -> list[Example]:
    found = []
    change: list[str] = []
    for language, text in re.findall(r"^```(diff|text)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if language == "diff":
            change = text.splitlines()
        elif text.startswith("$ director "):
            command, *said = text.splitlines()
            found.append(Example(command=shlex.split(command)[2:], said=said, change=change))
            change = []
    return found


def changed(text: str, change: list[str]) -> str:
    old = "".join(f"{line[1:]}\n" for line in change if line.startswith("-"))
    new = "".join(f"{line[1:]}\n" for line in change if line.startswith("+"))
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


@pytest.fixture(scope="module")
def shop(homes: Path, stemcell_tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Director:
    director = Director(home=homes / "errors-page", subnet="10.231.0")
    prepare(director, stemcell_tarball, CLOUD)
    release = tmp_path_factory.mktemp("shop") / "shop"
    director.run("upload-release", write_tiny_release(release, JOBS))
    return director


def test_the_page_has_examples() -> None:
    assert len(examples()) > 10


@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_example(shop: Director, tmp_path: Path, example: Example) -> None:
    for name, text in files().items():
        right = changed(text, example.change) if name == "shop.yml" else text
        (tmp_path / name).write_text(right)
    done = shop.run(*example.command, ok=False, cwd=tmp_path)
    told = done.stdout + done.stderr
    print(told)
    assert done.returncode == ("--dry-run" not in example.command)
    lines = [line for line in example.said if line]
    pattern = r".*\n.*?".join(re.escape(line.strip()).replace("…", r"[^\n]*") for line in lines)
    assert re.search(pattern, told), f"the page says otherwise:\n{pattern}"

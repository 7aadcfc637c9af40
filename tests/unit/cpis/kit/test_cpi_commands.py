"""``director cpi ...`` as it is typed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from cpis.conformance.suite import CHECKS, REAL_CHECKS
from cpis.memory import MemoryCpi
from director.cli.main import make_program, run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.setenv("COLUMNS", "100")

    def call(*args: str | Path) -> Ran:
        code = run([str(arg) for arg in args])
        taken = capsys.readouterr()
        return Ran(code, taken.out, taken.err)

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What ``cpi test`` is given for a cloud in memory that is kept in a file."""
    (tmp_path / "image").write_text("")
    network = {"range": "10.0.0.0/24", "gateway": "10.0.0.1", "addresses": ["10.0.0.5-10.0.0.10"]}
    test = {"stemcell": {"image": "image"}, "networks": {"default": network}, "disk_mb": 10}
    text = {"properties": {"state_file": str(tmp_path / "cloud")}, "test": {**test, "dynamic": {}}}
    path = tmp_path / "memory.yml"
    path.write_text(json.dumps(text))
    return path


def change(file: Path, **properties: Any) -> None:
    data = json.loads(file.read_text())
    data["properties"].update(properties)
    file.write_text(json.dumps(data))


def cloud(file: Path) -> MemoryCpi:
    return MemoryCpi({"state_file": str(file.parent / "cloud")})


def left(file: Path) -> list[str]:
    cpi = cloud(file)
    return [*cpi.vms, *cpi.disks, *cpi.stemcells]


# -- the group -------------------------------------------------------------------------------------


def test_a_group_alone_shows_its_commands(cli) -> None:
    ran = cli("cpi")
    assert ran.code == 0
    assert ran.out == cli("cpi", "--help").out
    assert "cpi new " in ran.out
    assert "deploy" not in ran.out
    assert re.search(r"^  cpi test +Check a CPI", cli("--help").out, re.MULTILINE)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["cpi", "nwe"], "there is no command 'cpi nwe'; did you mean cpi new"),
        (["cpi", "deploy"], "there is no command 'cpi deploy'"),
        (["cpo"], "there is no command 'cpo'"),
        (["cpi", "new"], "Missing argument 'NAME'.\n  Fix: see 'director cpi new --help'"),
        (["cpi", "show", "memry"], "there is no CPI 'memry'"),
        (["cpi", "new", "Bad_Name"], "'Bad_Name' cannot name a CPI"),
        (["cpi", "test", "memory"], "give --properties FILE"),
        (["cpi", "test", "memory", "--only", "x"], "there is no check 'x'"),
        (["cpi", "test", "memory", "--only", "lets_keys_in"], "give --real too"),
        (["cpi", "test", "memory", "--properties", "/no/file"], "cannot be read"),
    ],
)
def test_wrong_use(cli, args: list[str], text: str) -> None:
    ran = cli(*args)
    assert (ran.code, ran.out) == (1, "")
    assert text in ran.err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (([], "cp"), {"cpi", "cpi-config"}),
        ((["cpi"], ""), {"list", "show", "new", "test"}),
        ((["cpi"], "t"), {"test"}),
        ((["cpi", "test"], "--rea"), {"--real"}),
    ],
)
def test_completion(words: tuple[list[str], str], found: set[str]) -> None:
    complete = ShellComplete(make_program(), {}, "director", "_DIRECTOR_COMPLETE")
    assert {item.value for item in complete.get_completions(*words)} == found


def test_global_options_may_stand_in_between(cli) -> None:
    outputs = {
        cli(*args).out
        for args in (
            ["--json", "cpi", "list"],
            ["cpi", "--json", "list"],
            ["cpi", "list", "--json"],
        )
    }
    (document,) = map(json.loads, outputs)
    names = [row["name"] for row in document["Tables"][0]["Rows"]]
    assert {"memory", "local"} <= set(names)


# -- new and show ----------------------------------------------------------------------------------


def test_new(cli, tmp_path: Path) -> None:
    made = cli("cpi", "new", "kit-nova", tmp_path / "nova")
    assert made.code == 0
    assert all(Path(line).is_file() for line in made.out.splitlines())
    again = cli("cpi", "new", "kit-nova", tmp_path / "nova")
    assert again.code == 1
    assert "nothing is overwritten" in again.err


def test_show(cli) -> None:
    assert cli("cpi", "show", "memory").out.startswith("# The memory CPI")


# -- test ------------------------------------------------------------------------------------------


def test_the_list_of_checks(cli) -> None:
    rows = json.loads(cli("cpi", "test", "memory", "--list", "--json").out)["Tables"][0]["Rows"]
    assert [row["check"] for row in rows] == [c.__name__ for c in (*CHECKS, *REAL_CHECKS)]
    assert all(row["promise"] for row in rows)
    assert [row["logs_in"] for row in rows].count("yes") == len(REAL_CHECKS)


def test_a_cpi_that_conforms(cli, file: Path) -> None:
    ran = cli("-n", "cpi", "test", "memory", "--properties", file)
    assert ran.code == 0, ran.out + ran.err
    live, table = ran.out.split("Check  ")
    assert "makes_and_deletes_a_vm: A VM is there after create_vm, and gone" in live
    assert re.search(r"^  passed \(\d+\.\d s\)$", live, re.MULTILINE)
    assert len(table.splitlines()) == len(CHECKS) + 1
    assert "up to 6 VMs" in ran.err
    assert left(file) == []


def test_one_that_does_not(cli, file: Path) -> None:
    change(file, faults=[{"method": "has_disk", "nth": None, "message": "no disks today"}])
    ran = cli("-n", "cpi", "test", "memory", "--properties", file, "--json")
    document = json.loads(ran.out)
    rows = {row["check"]: row for row in document["Tables"][0]["Rows"]}
    assert ran.code == 1
    assert rows["makes_and_deletes_a_disk"]["why"] == "no disks today"
    assert rows["makes_and_deletes_a_vm"]["result"] == "passed"
    assert float(rows["makes_and_deletes_a_vm"]["seconds"]) >= 0
    assert document["Tables"][0]["Notes"]
    assert left(file) == []


def test_only_some(cli, file: Path) -> None:
    only = ["--only", "sizes_vms", "--only", "updates_disks", "--only", "sizes_vms"]
    ran = cli("-n", "cpi", "test", "memory", "--properties", file, *only, "--column", "check")
    assert ran.code == 0
    assert ran.out.splitlines()[-3:] == ["Check", "sizes_vms", "updates_disks"]


def test_it_asks_first(cli, file: Path) -> None:
    ran = cli("cpi", "test", "memory", "--properties", file)
    assert ran.code == 1
    assert "say yes beforehand with -n" in ran.err
    assert left(file) == []


def test_variables_are_filled_in(cli, file: Path) -> None:
    change(file, state_file="((place))")
    missing = cli("-n", "cpi", "test", "memory", "--properties", file)
    assert "no value was given for 'place'" in missing.err
    given = ["-v", f"place={file.parent / 'cloud'}", "--only", "sizes_vms"]
    assert cli("-n", "cpi", "test", "memory", "--properties", file, *given).code == 0


def test_what_a_killed_run_left_is_removed(cli, file: Path) -> None:
    cpi = cloud(file)
    stemcell = cpi.create_stemcell("image", {})
    cpi.create_vm("conformance-abc123-sizes-vms-0", stemcell, {}, {}, [], {})
    cpi.create_vm("conformance-fff-sizes-vms-0", stemcell, {}, {}, [], {})
    ran = cli("cpi", "test", "memory", "--properties", file, "--clean-up", "abc123")
    assert (ran.code, ran.out) == (0, "vm-1\n")
    assert left(file) == ["vm-2", stemcell]


def test_what_a_cpi_says_does_not_reach_the_terminal_as_it_is(cli, file: Path) -> None:
    change(file, faults=[{"method": "has_disk", "nth": None, "message": "\x1b]0;owned\x07"}])
    only = ["--only", "makes_and_deletes_a_disk", "--tty"]
    ran = cli("-n", "cpi", "test", "memory", "--properties", file, *only)
    assert "owned" in ran.out
    assert "\x1b" not in ran.out

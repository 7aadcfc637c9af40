"""The client's variables file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from director.model.errors import DirectorError, VariableError
from director.variables.vars_store import generate_missing, load, read_variables, save

NOW = 1_700_000_000.0


def test_what_is_saved_is_loaded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "vars.yml"
    values = {"a": "x", "/b": {"certificate": "one\ntwo\n"}, "n": 1}
    assert load(path) == {}
    save(path, values)
    assert load(path) == values
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "|\n" in path.read_text()
    save(path, {"a": "y"})
    assert [p.name for p in path.parent.iterdir()] == ["vars.yml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "vars.yml")
    save(tmp_path / "link", {"a": 1})
    assert load(tmp_path / "vars.yml") == {"a": 1}
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("text", ["- a\n", "a: [s3cret\n", "1: x\n", "a: \x00s3cret\n"])
def test_a_file_that_is_none_is_refused_without_its_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vars.yml"
    path.write_text(text)
    with pytest.raises(VariableError) as caught:
        load(path)
    assert "vars.yml" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_only_what_is_missing_is_generated() -> None:
    variables = read_variables(
        [
            {"name": "leaf", "type": "certificate", "options": {"ca": "root", "common_name": "x"}},
            {"name": "root", "type": "certificate", "options": {"is_ca": True, "common_name": "r"}},
            {"name": "old", "type": "password"},
            {"name": "given", "type": "password"},
            {"name": "sized", "type": "password", "options": {"length": "((size))"}},
            {"name": "later", "type": "password", "options": {"length": "((unknown))"}},
        ]
    )
    made = generate_missing({"old": "x"}, variables, now=NOW, given={"given": "y", "size": 4})
    assert set(made) == {"old", "leaf", "root", "sized"}
    assert made["old"] == "x"
    assert len(made["sized"]) == 4
    assert made["leaf"]["ca"] == made["root"]["certificate"]
    assert generate_missing(made, variables, now=NOW, given={"given": "y"}) == made


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("x", "no name"),
        ({"name": "a"}, "no type"),
        ({"name": "a", "type": "password", "options": [1]}, "not a mapping"),
        ({"name": "a", "type": "certificate", "consumes": {}}, "from a link"),
    ],
)
def test_wrong_entries(entry: Any, says: str) -> None:
    with pytest.raises(DirectorError, match=says):
        read_variables([entry])

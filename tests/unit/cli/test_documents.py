"""Documents: variables from everywhere, ops files, and positions in the operator's own files."""

from __future__ import annotations

import stat

import pytest
import yaml

from director.cli.document import given_variables, load_document, positions, translator
from director.cli.options import DocumentOptions
from director.model.errors import DirectorError, UsageError
from director.model.source import Source


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_which_variable_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_a", "env")
    monkeypatch.setenv("MY_only", "[1, 2]")
    path = written(tmp_path, "vars.yml", "a: file\nb: file\nc: file\nd: file\n")
    text = written(tmp_path, "text", "line\n")
    options = DocumentOptions(
        variables=("d=3", "e=a=b"),
        variable_files=(f"c={text}", f"d={text}"),
        variables_files=(path, written(tmp_path, "later.yml", "b: later\n")),
        variables_env=("MY",),
    )
    assert given_variables(options) == {
        "a": "file",
        "b": "later",
        "c": "line\n",
        "d": 3,
        "e": "a=b",
        "only": [1, 2],
    }


@pytest.mark.parametrize(
    "given", [{"variables": ("hunter2",)}, {"variables": ("p={hunter2",)}, {"variables": ("=x",)}]
)
def test_a_secret_is_never_repeated(given):
    with pytest.raises(DirectorError) as caught:
        given_variables(DocumentOptions(**given))
    assert "hunter2" not in str(caught.value)


def test_interpolate(cli, tmp_path):
    path = written(tmp_path, "m.yml", "a: ((x))\nb: ((x.y))-((z))\nc: [1]\n")
    ops = written(tmp_path, "o.yml", "- {type: replace, path: /c/-, value: 2}\n")
    ran = cli("int", path, "-o", ops, "-v", "x={y: 5}")
    assert yaml.safe_load(ran.out) == {"a": {"y": 5}, "b": "5-((z))", "c": [1, 2]}
    assert cli("int", path, "--path", "/c/0").out == "1\n"
    assert cli("int", path, "--path", "/b").out == "((x.y))-((z))\n"


def test_interpolate_is_strict_when_asked(cli, tmp_path):
    path = written(tmp_path, "m.yml", "a: ((x))\n")
    ran = cli("int", path, "--var-errs")
    assert ran.code == 1
    assert "no value was given for 'x'" in ran.err
    ran = cli("int", path, "-v", "x=1", "-v", "y=1", "--var-errs-unused")
    assert ran.code == 1
    assert "nothing uses 'y'" in ran.err


def test_vars_store_generates_once(cli, tmp_path):
    path = written(tmp_path, "m.yml", "p: ((p))\nvariables: [{name: p, type: password}]\n")
    store = tmp_path / "store.yml"
    first = cli("int", path, "--vars-store", str(store), "--path", "/p").out
    assert cli("int", path, "--vars-store", str(store), "--path", "/p").out == first
    assert yaml.safe_load(store.read_text()) == {"p": first.strip()}
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert cli("int", path, "--vars-store", str(store), "-v", "p=x", "--path", "/p").out == "x\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\na: 2\n", "m.yml:2:1"),
        ("a: [1\n", "m.yml:"),
        ("a: &x [*x]\n", "m.yml:1:"),
        ("a: \x07\n", "m.yml:1:4"),
    ],
)
def test_bad_documents_have_a_position(cli, tmp_path, text, error):
    ran = cli("int", written(tmp_path, "m.yml", text))
    assert ran.code == 1
    assert error in ran.err


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "m.yml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(UsageError, match="larger than 20 MB"):
        load_document(str(path), DocumentOptions())


def test_positions_lead_back(tmp_path):
    path = written(tmp_path, "m.yml", "name: x # ((not a variable))\nlist:\n  - ((v))\n")
    same = load_document(path, DocumentOptions())
    assert same.plain
    assert positions(same, same.text)(3, 5) == Source(path, 3, 5)
    other = load_document(path, DocumentOptions(variables=("v=long",)))
    assert other.text == "name: x\nlist:\n- long\n"
    assert positions(other, other.text)(3, 3) == Source(path, 3, 5)


def test_translator_touches_its_own_label_only():
    translate = translator("manifest", lambda line, _: Source("m.yml", line + 1, 1))
    text = "manifest:1:2: a, my-manifest:1:2, /x/manifest:1:2\nmanifest:3:4: b"
    assert translate(text) == "m.yml:2:1: a, my-manifest:1:2, /x/manifest:1:2\nm.yml:4:1: b"
    assert translator("manifest", lambda *_: None)("manifest:1:2") == "manifest:1:2"

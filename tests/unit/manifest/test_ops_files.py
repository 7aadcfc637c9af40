"""Ops files with BOSH's go-patch grammar."""

from __future__ import annotations

import pytest

from director.manifest.located_yaml import load_located
from director.manifest.ops_files import apply_ops, find_path, patch, read_ops
from director.model.errors import OpsFileError
from director.model.source import Source

DOCUMENT = {"a": 1, "g": [{"name": "web", "n": 1}, {"name": "db", "n": 2}], "e": None, "s/x": 1}


def replace(path: str, value: object) -> dict[str, object]:
    return {"type": "replace", "path": path, "value": value}


def remove(path: str) -> dict[str, object]:
    return {"type": "remove", "path": path}


@pytest.mark.parametrize(
    ("op", "path", "found"),
    [
        pytest.param(replace("/a", 2), "/a", 2, id="key"),
        pytest.param(replace("/", {"x": 1}), "/", {"x": 1}, id="root"),
        pytest.param(replace("/g/0/n", 5), "/g/0/n", 5, id="index"),
        pytest.param(replace("/g/-1/n", 5), "/g/1/n", 5, id="index-from-end"),
        pytest.param(replace("/g/-", {"name": "x"}), "/g/2/name", "x", id="append"),
        pytest.param(replace("/g/name=db/n", 5), "/g/1/n", 5, id="match"),
        pytest.param(replace("/g/name=db", {"name": "o"}), "/g/1/name", "o", id="match-last"),
        pytest.param(replace("/g/name=web:next/n", 5), "/g/1/n", 5, id="next"),
        pytest.param(replace("/g/1:prev/n", 5), "/g/0/n", 5, id="prev"),
        pytest.param(replace("/g/0:after", 5), "/g/1", 5, id="after"),
        pytest.param(replace("/g/name=db:before", 5), "/g/1", 5, id="before"),
        pytest.param(replace("/g/-1:after", 5), "/g/2", 5, id="after-last"),
        pytest.param(replace("/new?", 5), "/new", 5, id="optional"),
        pytest.param(replace("/new?/x/y", 5), "/new/x/y", 5, id="optional-spreads"),
        pytest.param(replace("/new?/-", 5), "/new/0", 5, id="makes-list"),
        pytest.param(replace("/new?/k=v/x", 5), "/new", [{"k": "v", "x": 5}], id="makes-match"),
        pytest.param(replace("/g/name=x?/n", 5), "/g/2", {"name": "x", "n": 5}, id="match-adds"),
        pytest.param(replace("/g/name=x?", 5), "/g/2", 5, id="match-appends"),
        pytest.param(replace("/s~1x", 5), "/s~1x", 5, id="escaped"),
        pytest.param(remove("/g/name=web"), "/g/0/name", "db", id="remove-match"),
        pytest.param(remove("/g/0"), "/g/0/name", "db", id="remove-index"),
        pytest.param(remove("/nope?"), "/a", 1, id="remove-missing"),
        pytest.param(remove("/nope?/x/y"), "/a", 1, id="remove-below-missing"),
        pytest.param(remove("/g/name=x?/n"), "/a", 1, id="remove-no-match"),
        pytest.param({"type": "test", "path": "/a", "value": 1}, "/a", 1, id="test"),
        pytest.param({"type": "test", "path": "/b", "absent": True}, "/a", 1, id="absent"),
    ],
)
def test_applies(op, path, found):
    before = repr(DOCUMENT)
    assert find_path(apply_ops(DOCUMENT, [op], "ops.yml"), path) == found
    assert repr(DOCUMENT) == before


def test_remove_takes_the_key_away():
    assert "a" not in apply_ops(DOCUMENT, [remove("/a")], "ops.yml")


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (replace("/nam", 1), "there is no key 'nam'"),
        (replace("/g/name=x/n", 1), "no item matches '/g/name=x'"),
        (replace("/g/n=1/x", 1), "no item matches"),
        (replace("/g/7", 1), "item 7 of a list with 2"),
        (replace("/a/b", 1), "'/a' is a single value"),
        (replace("/e/b", 1), "'/e' is empty"),
        (replace("/g/name", 1), "'/g' is a list"),
        (replace("/new?/0", 1), "a new list has no item 0"),
        (replace("/g/-/x", 1), "only be the last part"),
        (replace("/g/-:after", 1), "takes no modifier"),
        (replace("/a:after", 1), "needs a list item"),
        (replace("/g/0:over", 1), ":over"),
        (replace("/g/0:after/n", 1), "nothing may follow ':after'"),
        (replace("a", 1), "begins with '/'"),
        (remove("/"), "whole document"),
        (remove("/nope"), "there is no key 'nope'"),
        (remove("/g/0:before"), "inserts"),
        ({"type": "remove", "path": "/a", "value": 1}, "removes and has a value"),
        ({"type": "replace", "path": "/a"}, "replaces without a value"),
        ({"type": "replace", "value": 1}, "has no path"),
        ({"type": "move", "path": "/a"}, "has the type 'move'"),
        ({"type": "remove", "pth": "/a"}, "unknown key 'pth'"),
        ({"type": "test", "path": "/a", "value": 2, "error": "no!"}, "another one (no!)"),
        ("x", "is not a mapping"),
    ],
)
def test_refused(op, words):
    with pytest.raises(OpsFileError) as caught:
        apply_ops(DOCUMENT, [op], "ops.yml")
    assert words in caught.value.what
    assert "[0]" in caught.value.what
    assert caught.value.fix


def test_two_matches_are_refused():
    with pytest.raises(OpsFileError, match="2 items match"):
        apply_ops({"g": [{"k": "v"}, {"k": "v"}]}, [replace("/g/k=v/x", 1)], "ops.yml")


def test_the_first_error_stops_and_names_its_place():
    ops = load_located("- {type: remove, path: /a}\n- type: remove\n  path: /nope\n", "ops.yml")
    with pytest.raises(OpsFileError, match=r"operation \[1\], remove '/nope'") as caught:
        patch(load_located("a: 1\n", "m.yml"), ops)
    assert caught.value.where == Source("ops.yml", 3, 9)


def test_a_value_used_twice_is_copied():
    ops = load_located("- {type: replace, path: /x?, value: &v [1]}\n"
                       "- {type: replace, path: /y?, value: *v}\n"
                       "- {type: replace, path: /x/-, value: 2}\n", "ops.yml")  # fmt: skip
    assert patch(load_located("a: 1", "m"), ops).data == {"a": 1, "x": [1, 2], "y": [1]}


def test_an_ops_file_is_a_list_or_empty():
    assert read_ops(load_located("", "ops.yml")) == []
    with pytest.raises(OpsFileError, match="is a list of operations"):
        read_ops(load_located("type: remove", "ops.yml"))


def test_find_path():
    assert find_path(DOCUMENT, "/g/name=db/n") == 2
    assert find_path(DOCUMENT, "/nope?/x") is None
    with pytest.raises(OpsFileError, match="nothing is at the path"):
        find_path(DOCUMENT, "/nope")

"""YAML with positions, YAML 1.1 scalars, and hostile documents."""

from __future__ import annotations

import json

import pytest

from director.manifest.located_yaml import load_located, require_mapping
from director.model.errors import DirectorError, ErrorList, YamlError
from director.model.source import Source


def at(line: int, column: int) -> Source:
    return Source("m.yml", line, column)


def test_positions_of_values_and_keys():
    located = load_located("a: 1\nlist:\n- name: x\n  deep: {k: v}\n", "m.yml")
    assert located.data == {"a": 1, "list": [{"name": "x", "deep": {"k": "v"}}]}
    assert located.sources[("a",)] == at(1, 4)
    assert located.sources[("list", 0)] == at(3, 3)
    assert located.sources[("list", 0, "deep", "k")] == at(4, 13)
    assert located.keys[("list", 0, "deep", "k")] == at(4, 10)
    assert ("list", 1) not in located.sources
    assert set(located.keys) == {
        ("a",),
        ("list",),
        ("list", 0, "name"),
        ("list", 0, "deep"),
        ("list", 0, "deep", "k"),
    }


def test_nearest_place_of_what_is_missing():
    located = load_located("a:\n  b: 1\n", "m.yml")
    assert located.where(("a", "c", "d")) == at(2, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50_000", 50000),
        ("0755", 493),
        ("010", 8),
        ("0x1F", 31),
        ("-0b11", -3),
        ("09", "09"),
        ("y", True),
        ("n", False),
        ("On", True),
        ("OFF", False),
        ("~", None),
        ("", None),
        ("1.5", 1.5),
        ("1e3", "1e3"),
        ("2020-01-01", "2020-01-01"),
        ("12:30:45", "12:30:45"),
        ("'y'", "y"),
        ('"010"', "010"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("1" * 80, "1" * 80),
        ("=", "="),
        ("0x_", "0x_"),
        ("1_\t# a tab before a comment", 1),
    ],
)
def test_scalars(text, value):
    found = load_located(f"k: {text}\n", "m.yml").data["k"]
    assert found == value
    assert type(found) is type(value)


def test_a_float_keeps_how_it_was_written():
    value = load_located("v: 1.10\n", "m.yml").data["v"]
    assert value == 1.1
    assert value.text == "1.10"
    assert json.dumps(value) == "1.1"


def test_keys_are_text_as_written():
    assert load_located("8080: a\non: b\n0755: c\n", "m.yml").data == {
        "8080": "a",
        "on": "b",
        "0755": "c",
    }


def test_merging_may_override_and_keeps_positions():
    text = "d: &d\n  a: 1\n  b: 2\ne:\n  b: 3\n  <<: *d\nf: {<<: [{b: 7}, *d]}\n"
    located = load_located(text, "m.yml")
    assert located.data["e"] == {"a": 1, "b": 3}
    assert located.data["f"] == {"a": 1, "b": 7}
    assert located.sources[("e", "a")] == at(2, 6)
    assert located.sources[("e", "b")] == at(5, 6)


def test_aliases_share_nothing():
    data = load_located("a: &x [1]\nb: *x\n", "m.yml").data
    data["a"].append(2)
    assert data["b"] == [1]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: 1\nb: {c: 1, c: 2}", at(2, 11), "key 'c' is there twice"),
        ("a: 1\n'a': 2", at(2, 1), "key 'a' is there twice (first in line 1)"),
        ("a: &x [1, *x]", at(1, 11), "contains itself"),
        ("a: &x\n  <<: *x", at(2, 7), "contains itself"),
        ("a: *nope", at(1, 4), "anchored as '&nope'"),
        ("a: 1\n---\nb: 1", at(2, 1), "second document"),
        ("a: {{x}}", at(1, 5), "a key is a list or a mapping"),
        ("? [1]\n: 2", at(1, 3), "a key is a list or a mapping"),
        ("~: 1", at(1, 1), "key is empty"),
        ("a: !ruby/object:X {}", at(1, 4), "tag '!ruby/object:X'"),
        ("a: !!python/object/apply:os.system [x]", at(1, 4), "tag '!!python/object"),
        ("a: !!binary aGk=", at(1, 4), "tag '!!binary'"),
        ("a: \x07", at(1, 4), "U+0007"),
        ("a: 'x\nb: 1", at(1, 4), "end of stream"),
        ("b:\n\ta: 1", at(2, 1), "tab"),
        ("a: b: c", at(1, 5), "mapping values are not allowed"),
        ("a: [1\nb: 2", at(2, 2), "begins in line 1"),
        ("a: @x", at(1, 4), "cannot start any token"),
        ("a: .inf", at(1, 4), "'.inf'"),
        ("a: {<<: 1}", at(1, 9), "'<<' merges mappings"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", at(2, 13), "key '<<' is there twice"),
        pytest.param("[" * 100_000, at(1, 101), "nested deeper", id="deep-flow"),
        pytest.param("- " * 100_000 + "x", at(1, 201), "nested deeper", id="deep-block"),
        pytest.param("a" * 100_000_000, at(1, 1), "100 MB", id="100-MB"),
        pytest.param("a: \ud800", at(1, 4), "U+D800", id="surrogate"),
    ],
)
def test_refused_with_place_and_fix(text, where, words):
    with pytest.raises(YamlError) as caught:
        load_located(text, "m.yml")
    assert caught.value.where == where
    assert words in caught.value.what
    assert caught.value.fix


def bomb(*, merging: bool = False) -> str:
    lines = ["a0: &a0 {k: 1}"]
    for n in range(1, 40):
        uses = ", ".join([f"*a{n - 1}"] * 9)
        inner = f"{{<<: [{uses}], k{n}: [{uses}]}}" if merging else f"[{uses}]"
        lines.append(f"a{n}: &a{n} {inner}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(bomb(), id="bomb"),
        pytest.param(bomb(merging=True), id="merging"),
        pytest.param("- x\n" * 600_000, id="long"),
    ],
)
def test_what_expands_to_too_much_is_refused(text):
    with pytest.raises(YamlError, match="500,000 values"):
        load_located(text, "m.yml")


def test_depth_counts_through_aliases():
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 150)]
    with pytest.raises(YamlError, match="nested deeper"):
        load_located("\n".join(lines), "m.yml")


def test_all_duplicate_keys_at_once():
    with pytest.raises(ErrorList) as caught:
        load_located("a: 1\na: 2\nb: 1\nb: 2\n", "m.yml")
    assert [error.where for error in caught.value.errors] == [at(2, 1), at(4, 1)]


@pytest.mark.parametrize(
    ("text", "words"), [("", "is empty"), ("{}", "is empty"), ("- 1", "is not a mapping")]
)
def test_a_document_must_be_a_mapping(text, words):
    with pytest.raises(DirectorError, match=words):
        require_mapping(load_located(text, "m.yml"), "manifest")

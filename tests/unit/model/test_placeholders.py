"""Placeholders: which are found, and what filling them in keeps."""

from __future__ import annotations

from typing import Any

import pytest

from director.model.errors import VariableError
from director.model.placeholders import fill, find_placeholders, look_up, variable_name

VALUES = {"a": 1, "s": "text", "t": {"ca": "CA", "n": {"x": 2}}, "/abs/v": {"k": True}, "l": [1]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("((a))", {"a"}),
        ("(( a )) and ((!t.ca))", {"a", "t.ca"}),
        ("((/abs/v.k))((a-b_c))", {"/abs/v.k", "a-b_c"}),
        ("(a) ((a b)) (()) ((a)", set()),
        ("(((a)))", {"a"}),
    ],
)
def test_find(text: str, found: set[str]) -> None:
    assert find_placeholders({"k": [text]}) == found
    assert find_placeholders({text: 1}) == found


@pytest.mark.parametrize(
    ("data", "filled"),
    [
        ("((a))", 1),
        ("(( a ))", 1),
        ("x((a))y((s))", "x1ytext"),
        ("((t.n))", {"x": 2}),
        ("((t.n.x))", 2),
        ("((/abs/v.k))", True),
        ("((nix)) ((a))", "((nix)) 1"),
        ("((nix))", "((nix))"),
        ({"k((a))": [{"((s))": None}]}, {"k1": [{"text": None}]}),
        (("((a))", 2.5), [1, 2.5]),
    ],
)
def test_fill(data: Any, filled: Any) -> None:
    assert fill(data, look_up(VALUES)) == filled


def test_values_are_not_searched() -> None:
    assert fill("((x))", {"x": "((x))"}.__getitem__) == "((x))"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"p": ["a ((t))"]}, "at '/p/0'"),
        ("x((/abs/v.k))", "neither text nor an integer"),
        ({"((l))": 1}, "neither text"),
        ("((t.cb))", "asks for 'cb', which variable 't' lacks"),
        ("((s.x))", "no such part"),
        ({"((s))": 1, "text": 2}, "is there already"),
    ],
)
def test_what_does_not_fit(data: Any, says: str) -> None:
    with pytest.raises(VariableError) as caught:
        fill(data, look_up(VALUES))
    assert says in str(caught.value)
    assert "CA" not in str(caught.value)


def test_name_of_a_reference() -> None:
    assert variable_name("/d.x/v.k.l") == "/d.x/v"
    assert variable_name("v.k") == "v"

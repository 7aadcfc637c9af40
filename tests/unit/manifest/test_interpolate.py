"""Variables on the operator's side."""

from __future__ import annotations

import pytest

from director.manifest.interpolate import interpolate
from director.model.errors import VariableError

VALUES = {"n": 3, "s": "x", "tls": {"ca": "CA", "deep": {"k": [1]}}, "/abs": 1, "t": True}


@pytest.mark.parametrize(
    ("data", "result"),
    [
        ("((n))", 3),
        ("(( n ))", 3),
        ("((!n))", 3),
        ("((tls.deep.k))", [1]),
        ("a-((n))-((s))", "a-3-x"),
        ("((/abs))", 1),
        ("((t))", True),
        ({"((s))": ["((tls))"]}, {"x": [VALUES["tls"]]}),
        ("((unknown)) ((s))", "((unknown)) x"),
        ("((unknown.a))", "((unknown.a))"),
    ],
)
def test_fills_in(data, result):
    assert interpolate(data, VALUES).data == result


@pytest.mark.parametrize("data", ["((tls.nope))", "((n.x))", "x ((tls))", "x ((t))"])
def test_refuses_what_does_not_fit(data):
    with pytest.raises(VariableError):
        interpolate(data, VALUES)


def test_reports_what_was_used_and_what_is_missing():
    result = interpolate({"a": "((s))", "b": "((gone.x)) ((tls.ca))"}, VALUES)
    assert result.missing == ("gone.x",)
    assert result.used == ("s", "tls")
    assert result.data == {"a": "x", "b": "((gone.x)) CA"}

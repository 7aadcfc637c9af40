"""What was filled in for a variable is in nothing a task writes, however it is written."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from director.execute.hidden import (
    HIDDEN,
    Hidden,
    begin_hiding,
    end_hiding,
    fill_in,
    hidden_values,
    hide,
    texts_of,
)
from director.model.placeholders import look_up

KEY = "-----BEGIN KEY-----\nabc/def+1234\nzz99\n-----END KEY-----\n"


def hiding(*values: str) -> Hidden:
    hidden = Hidden()
    hidden.add(frozenset(values))
    return hidden


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        (["s3cret"], "x=s3cret;s3crets", f"x={HIDDEN};{HIDDEN}s"),
        (["s3cret", "s3cretlonger"], "s3cretlonger", HIDDEN),
        (['a"b\\c'], json.dumps({"k": 'a"b\\c'}), json.dumps({"k": HIDDEN})),
        (["a/b&c=d"], f"/?Data={quote('a/b&c=d', safe='')}", f"/?Data={HIDDEN}"),
        ([KEY], "stderr: abc/def+1234", f"stderr: {HIDDEN}"),
        ([KEY], f"at once {KEY}", f"at once {HIDDEN}"),
        (["é-pässword"], json.dumps("é-pässword"), f'"{HIDDEN}"'),
        (["abc"], "abc abcd x-abc, (abc)", f"{HIDDEN} abcd x-{HIDDEN}, ({HIDDEN})"),
        (["."], "a . b", f"a {HIDDEN} b"),
        ([], "nothing is hidden", "nothing is hidden"),
    ],
)
def test_text(values: list[str], text: str, shown: str) -> None:
    assert hiding(*values).from_text(text) == shown


def test_data_keeps_its_shape() -> None:
    hidden = hiding("s3cret", "7", "xy")
    data = {"a": ["s3cret", {"s3cret-key": 7}], "b": (7.5, True, None, "xyz xy", "xy"), "c": 77}
    assert hidden.from_data(data) == {
        "a": [HIDDEN, {f"{HIDDEN}-key": HIDDEN}],
        "b": [7.5, True, None, f"xyz {HIDDEN}", HIDDEN],
        "c": 77,
    }


VALUES: dict[str, Any] = {
    "/pw": "abc",
    "/port": 6379,
    "/cert": {"ca": "CA-TEXT", "private_key": KEY},
    "/list": ["one-1", "two-2"],
    "/no": False,
    "/empty": "",
}


@pytest.mark.parametrize(
    ("data", "filled", "values"),
    [
        ({"k": "((/pw))"}, {"k": "abc"}, {"abc"}),
        # Inside a text a short value cannot be told apart, so that all of the text is secret.
        ({"k": "x((/pw))y"}, {"k": "xabcy"}, {"abc", "xabcy"}),
        ({"k": ["((/port))", 6379]}, {"k": [6379, 6379]}, {"6379"}),
        ({"k": "((/cert.ca))"}, {"k": "CA-TEXT"}, {"CA-TEXT"}),
        ({"k": "((/cert))"}, {"k": VALUES["/cert"]}, {"CA-TEXT", KEY}),
        ({"k": {"deep": "((/list))"}}, {"k": {"deep": VALUES["/list"]}}, {"one-1", "two-2"}),
        ({"((/pw))": 1}, {"abc": 1}, {"abc"}),
        ({"a": "((/no))", "b": "((/empty))"}, {"a": False, "b": ""}, set()),
        ({"k": "((/unknown))", "l": "plain"}, {"k": "((/unknown))", "l": "plain"}, set()),
    ],
)
def test_what_is_filled_in_is_known(data: Any, filled: Any, values: set[str]) -> None:
    assert fill_in(data, look_up(VALUES)) == (filled, values)


def test_every_text_of_a_value() -> None:
    assert set(texts_of({"a": [1, 2.5, "x", None, True, " "], "b": {"c": "y"}})) == {
        *("1", "2.5"),
        *("x", "y"),
    }


def test_each_task_hides_its_own() -> None:
    hide(frozenset({"outside"}))
    assert hidden_values().from_text("outside") == "outside"
    token = begin_hiding()
    try:
        hide(frozenset({"mine-1"}))
        hide(frozenset({"mine-2"}))
        assert hidden_values().from_text("mine-1 mine-2") == f"{HIDDEN} {HIDDEN}"
    finally:
        end_hiding(token)
    assert hidden_values().from_text("mine-1") == "mine-1"

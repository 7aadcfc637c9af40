"""The order of versions."""

from __future__ import annotations

import pytest

from director.model.versions import in_line, newest, pick, version_key

IN_ORDER = [
    "no version!",
    "0+dev.2",
    "0+dev.10",
    "1-rc.1",
    "1",
    "1+dev.1",
    "1.2",
    "1.10",
    "1.x",
    "2",
]


def test_order():
    assert sorted(set(IN_ORDER), key=version_key) == IN_ORDER
    assert version_key("1") == version_key("1.0")
    assert version_key("1.2-dev") == version_key("1+dev.2")
    assert newest(IN_ORDER) == "2"
    assert newest([]) is None
    assert sorted(["9" * 5000, "1"], key=version_key)[0] == "1"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("latest", "2"), ("1.latest", "1.x"), ("1.2", "1.2"), ("3", None), ("3.latest", None)],
)
def test_pick(wanted, found):
    assert pick(wanted, IN_ORDER) == found


def test_in_line():
    assert in_line("3586.100", "3586")
    assert in_line("3586", "3586")
    assert not in_line("35860.1", "3586")

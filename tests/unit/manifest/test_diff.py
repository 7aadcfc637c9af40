"""The difference of two documents, line by line as BOSH prints it."""

from __future__ import annotations

import pytest

from director.manifest.diff import diff_lines


def show(old: object, new: object, *, redact: bool = False) -> list[str]:
    signs = {"added": "+", "removed": "-", None: " "}
    return [f"{signs[status]}{text}" for text, status in diff_lines(old, new, redact=redact)]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="same"),
        pytest.param({"a": 1}, {"a": 2}, ["-a: 1", "+a: 2"], id="changed"),
        pytest.param({"a": 1}, {"a": True}, ["-a: 1", "+a: true"], id="other-type"),
        pytest.param(None, {"a": [1]}, ["+a:", "+- 1"], id="first"),
        pytest.param({"a": 1, "b": 2}, {"b": 2}, ["-a: 1"], id="removed"),
        pytest.param(
            {"a": {"b": 1, "c": 2}},
            {"a": {"b": 1, "c": 3}},
            [" a:", "-  c: 2", "+  c: 3"],
            id="map",
        ),
        pytest.param({"a": [1, 2]}, {"a": [2, 3]}, [" a:", "-- 1", "+- 3"], id="list"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, [], id="order-of-a-list"),
        pytest.param({"a": {"b": 1}}, {"a": [1]}, ["-a:", "-  b: 1", "+a:", "+- 1"], id="kind"),
        pytest.param(
            {"releases": [{"name": "r", "version": "1"}, {"name": "gone"}]},
            {"releases": [{"name": "r", "version": "2"}, {"name": "new"}]},
            [
                " releases:",
                " - name: r",
                "-  version: '1'",
                "+  version: '2'",
                "+- name: new",
                "-- name: gone",
            ],
            id="by-name",
        ),
        pytest.param(
            {"subnets": [{"range": "10.0.0.0/24", "az": "z1"}]},
            {"subnets": [{"range": "10.0.0.0/24", "az": "z2"}]},
            [" subnets:", " - range: 10.0.0.0/24", "-  az: z1", "+  az: z2"],
            id="by-range",
        ),
        pytest.param(
            {"zoo": 1, "variables": [], "azs": [1]},
            {"instance_groups": [], "azs": [2], "zoo": 2},
            [
                *(" azs:", "-- 1", "+- 2", " "),
                *("-variables: []", " ", "-zoo: 1", "+zoo: 2", " ", "+instance_groups: []"),
            ],
            id="sections",
        ),
    ],
)
def test_lines(old, new, lines):
    assert show(old, new) == lines


def test_what_may_be_secret_is_hidden_and_still_compared():
    old = {"jobs": [{"name": "j", "properties": {"pw": "old", "l": [1]}}]}
    new = {"jobs": [{"name": "j", "properties": {"pw": "new", "l": [1], "k": None}}]}
    lines = show(old, new, redact=True)
    assert lines == [
        " jobs:",
        " - name: j",
        "   properties:",
        "-    pw: <redacted>",
        "+    pw: <redacted>",
        "+    k: null",
    ]
    url = {"releases": [{"name": "r", "url": "https://me:pw@host/x"}]}
    assert show(None, url, redact=True)[2] == "+  url: https://<redacted>@host/x"
    assert "secret" not in str(show(None, {"env": {"bosh": {"password": "secret"}}}, redact=True))
    assert show(None, {"properties": {"a": 1}}) == ["+properties:", "+  a: 1"]

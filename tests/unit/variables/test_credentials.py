"""Variables of the director: made once, encrypted, ordered, and never shown."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from director.model.errors import DirectorError, VariableError
from director.model.manifest import Variable
from director.model.records import VariableRecord
from director.model.source import Source
from director.variables.credentials import Credentials, DryRows, VariableRows

KEY = bytes(range(32))


class Rows:
    """Versions in memory, with the store's signatures."""

    def __init__(self) -> None:
        self.records: list[VariableRecord] = []

    def latest(self, name: str) -> VariableRecord | None:
        return next((r for r in reversed(self.records) if r.name == name), None)

    def add(self, record: VariableRecord) -> None:
        self.records.append(record)

    def list(self, deployment: str) -> list[VariableRecord]:
        newest = {r.name: r for r in self.records if r.deployment == deployment}
        return [newest[name] for name in sorted(newest)]


def credentials(rows: VariableRows, key: bytes = KEY) -> Credentials:
    ids = itertools.count(1)
    return Credentials(rows, key, "d", lambda: 1_700_000_000.0, lambda: f"id-{next(ids)}")


def password(name: str, **more: Any) -> Variable:
    return Variable(name=name, type="password", **more)


def test_a_value_is_made_once_and_kept_encrypted() -> None:
    rows = Rows()
    first = credentials(rows).ensure("cf", [password("a"), password("/b")], {"a", "/b"})
    again = credentials(rows).ensure("cf", [password("a")], {"a", "/b"})
    assert again == first
    assert credentials(rows).names("cf") == [("id-2", "/b"), ("id-1", "/d/cf/a")]
    for record in rows.records:
        assert first["a"].encode() not in record.sealed
        assert first["a"] not in repr(record)
    assert credentials(rows).ensure("other", [password("a")], ())["a"] != first["a"]


def test_every_undefined_name_is_told_before_anything_is_made() -> None:
    rows = Rows()
    with pytest.raises(DirectorError) as caught:
        credentials(rows).ensure(
            "cf", [password("a")], {"a", "tls.ca", "nix"}, uses={"tls": Source("m.yml", 3, 4)}
        )
    assert "variable 'nix' has no value" in str(caught.value)
    assert "m.yml:3:4: variable 'tls' has no value" in str(caught.value)
    assert rows.records == []


def test_authorities_and_used_values_come_first() -> None:
    leaf = Variable(
        name="leaf", type="certificate", options={"ca": "root", "common_name": "((cn))"}
    )
    root = Variable(name="root", type="certificate", options={"is_ca": True, "common_name": "r"})
    values = credentials(Rows()).ensure("cf", [leaf, root, password("cn")], {"leaf.private_key"})
    assert values["leaf"]["ca"] == values["root"]["certificate"]


@pytest.mark.parametrize(
    ("mode", "length", "refresh", "changes"),
    [
        ("no-overwrite", 12, True, False),
        ("converge", 10, True, False),
        ("converge", 12, True, True),
        ("converge", 12, False, False),
        ("overwrite", 10, True, True),
        ("overwrite", 10, False, False),
    ],
)
def test_update_mode(mode: str, length: int, refresh: bool, changes: bool) -> None:
    rows = Rows()
    variable = password("a", options={"length": 10}, update_mode=mode)
    before = credentials(rows).ensure("cf", [variable], ())
    variable = replace(variable, options={"length": length})
    after = credentials(rows).ensure("cf", [variable], (), refresh=refresh)
    assert (before != after) is changes


def test_a_certificate_converges_when_its_authority_changes() -> None:
    rows = Rows()
    root = Variable(name="root", type="certificate", options={"is_ca": True, "common_name": "a"})
    leaf = Variable(
        name="leaf",
        type="certificate",
        options={"ca": "root", "common_name": "x"},
        update_mode="converge",
    )
    before = credentials(rows).ensure("cf", [root, leaf], ())
    assert credentials(rows).ensure("cf", [root, leaf], ()) == before
    root = replace(root, options={"is_ca": True, "common_name": "b"}, update_mode="converge")
    after = credentials(rows).ensure("cf", [root, leaf], ())
    assert after["leaf"]["ca"] == after["root"]["certificate"] != before["root"]["certificate"]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ([password("a"), password("a")], "stands twice"),
        ([password("a.b")], "not a variable's name"),
        ([password("a//b")], "not a variable's name"),
        ([password("a/")], "not a variable's name"),
        ([password("a", update_mode="always")], "update_mode 'always'"),
        (
            [
                password("a", options={"length": "((b))"}),
                password("b", options={"length": "((a))"}),
            ],
            "made from itself: 'a' from 'b' from 'a'",
        ),
        ([password("a", options={"length": "((b.c))"}), password("b")], "has no such part"),
        ([Variable(name="a", type="certificate", options={"ca": "nix"})], "variable 'nix'"),
        ([password("a", options={"x": 1}), password("b", options={"y": 1})], "option 'y'"),
    ],
)
def test_wrong_variables(variables: list[Variable], says: str) -> None:
    with pytest.raises(DirectorError) as caught:
        credentials(Rows()).ensure("cf", variables, ())
    assert says in str(caught.value)


def test_another_key_or_an_exchanged_row_is_refused() -> None:
    rows = Rows()
    credentials(rows).ensure("cf", [password("a"), password("b")], ())
    with pytest.raises(VariableError, match="cannot be decrypted"):
        credentials(rows, key=bytes(32)).ensure("cf", (), {"a"})
    a, b = rows.records
    rows.records = [replace(a, sealed=b.sealed), b]
    with pytest.raises(VariableError, match="cannot be decrypted"):
        credentials(rows).ensure("cf", (), {"a"})
    rows.records = [replace(a, sealed=b"")]
    with pytest.raises(VariableError, match="cannot be decrypted"):
        credentials(rows).ensure("cf", (), {"a"})


def test_a_dry_run_keeps_nothing() -> None:
    rows = Rows()
    kept = credentials(rows).ensure("cf", [password("a")], ())
    dry = credentials(DryRows(rows))
    first = dry.ensure("cf", [password("a"), password("b")], ())
    assert first["a"] == kept["a"]
    assert dry.ensure("cf", [password("b")], {"b"})["b"] == first["b"]
    assert [name for _, name in dry.names("cf")] == ["/d/cf/a", "/d/cf/b"]
    assert [record.name for record in rows.records] == ["/d/cf/a"]

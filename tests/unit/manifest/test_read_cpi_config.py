"""CPI configs: what is read, and every error with its place."""

from __future__ import annotations

import pytest

from director.manifest.read_cpi_config import check_cpi_config, read_cpi_config
from director.model.configs import CpiConfig, CpiEntry
from director.model.errors import CpiConfigError, DirectorError, ErrorList, YamlError
from director.model.ids import StemcellCid
from director.model.stemcell import Stemcell

BASE = """\
cpis:
- name: here
  type: aws
  properties: {region: r1, secret_access_key: ((/aws.secret))}
- name: there
  type: vsphere
  exec_path: /opt/vsphere/bin/cpi
  migrated_from: [{name: ""}, {name: old}]
"""
TYPES = ("aws", "openstack")


def errors_of(*texts: str) -> list[DirectorError]:
    with pytest.raises(DirectorError) as caught:
        read_cpi_config([(f"c{n}.yml", text) for n, text in enumerate(texts)], types=TYPES)
    error = caught.value
    return list(error.errors) if isinstance(error, ErrorList) else [error]


def test_everything_is_read() -> None:
    config = read_cpi_config([("c.yml", BASE)], types=TYPES)
    assert config.entries == {
        "here": CpiEntry(
            name="here",
            type="aws",
            properties={"region": "r1", "secret_access_key": "((/aws.secret))"},
        ),
        "there": CpiEntry(
            name="there",
            type="vsphere",
            exec_path="/opt/vsphere/bin/cpi",
            migrated_from=("", "old"),
        ),
    }
    assert str(config.uses["/aws"]) == "c.yml:4:47"
    assert "r1" not in repr(config), "properties may hold secrets"


def test_several_are_one() -> None:
    more = "cpis: [{name: third, type: openstack}]"
    assert read_cpi_config([("a", BASE), ("b", more)]).names == ("here", "there", "third")
    assert read_cpi_config([]) == CpiConfig()
    (error,) = errors_of(BASE, "cpis: [{name: here, type: aws}]")
    assert "CPI 'here' is listed twice (first in line 2 of c0.yml)" in str(error)
    assert str(error).startswith("c1.yml:1:15: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cpis: []\ncpi: []", ("c0.yml:2:1: ", "unknown key 'cpi'", "did you mean 'cpis'")),
        ("cpis:", ("c0.yml:1:6: ", "'cpis' has no value", "write a list")),
        ("cpis: {}", ("cannot be a mapping", "write a list")),
        ("cpis: [{name: a}]", ("c0.yml:1:8: ", "CPI 'a' has no 'type'", "add 'type'")),
        ("cpis: [{type: aws}]", ("has no 'name'",)),
        ("cpis: [{name: a b, type: aws}]", ("c0.yml:1:15: ", "'a b'", "letters, digits")),
        ("cpis: [{name: ../a, type: aws}]", ("cannot be '../a'",)),
        ("cpis: [{name: a, typ: aws, type: aws}]", ("unknown key 'typ'", "did you mean 'type'")),
        ("cpis: [{name: a, type: asw}]", ("c0.yml:1:24: ", "type 'asw'", "did you mean 'aws'")),
        ("cpis: [{name: a, type: x, exec_path: bin/x}]", ("'bin/x'", "an absolute path")),
        ("cpis: [{name: a, type: aws, properties: [b]}]", ("cannot be a list", "a mapping")),
        (
            "cpis: [{name: a, type: aws, properties: {k: [((key))]}}]",
            ("c0.yml:1:46: ", "'((key))' in a CPI config has a relative name", "((/key))"),
        ),
        ("cpis: [{name: a, type: ((t))}]", ("needs a value for '((t))'",)),
        (
            "cpis: [{name: a, type: aws, migrated_from: [{name: a}]}]",
            ("c0.yml:1:52: ", "CPI 'a' is migrated from itself"),
        ),
        (
            "cpis:\n- {name: a, type: aws, migrated_from: [{name: o}]}\n"
            "- {name: b, type: aws, migrated_from: [{name: o}]}",
            ("c0.yml:3:47: ", "CPI 'b' is migrated from 'o', and so is CPI 'a'"),
        ),
    ],
)
def test_errors_have_places(text: str, words: tuple[str, ...]) -> None:
    (error,) = errors_of(text)
    assert isinstance(error, CpiConfigError)
    for word in words:
        assert word in str(error)


def test_other_types_than_installed_ones() -> None:
    text = "cpis: [{name: a, type: my.module:Cpi}, {name: b, type: x, exec_path: /x}]"
    assert read_cpi_config([("c", text)], types=TYPES).names == ("a", "b")
    # An operator who removes a CPI's package can still read what the config says.
    assert read_cpi_config([("c", "cpis: [{name: a, type: gone}]")]).names == ("a",)
    (error,) = errors_of("")
    assert isinstance(error, YamlError)


def test_a_conflict_with_another_config_is_left_to_its_use() -> None:
    other = [("other", "cpis: [{name: a, type: aws}]")]
    check_cpi_config("c", "cpis: [{name: a, type: aws}]", other, types=TYPES)
    with pytest.raises(CpiConfigError, match="unknown type"):
        check_cpi_config("c", "cpis: [{name: b, type: asw}]", other, types=TYPES)


# -- names ----------------------------------------------------------------------------------------


def config(*entries: CpiEntry) -> CpiConfig:
    return CpiConfig(entries={entry.name: entry for entry in entries})


def test_names() -> None:
    assert (CpiConfig().names, CpiConfig().current(""), CpiConfig().current("x")) == (
        ("",),
        "",
        "x",
    )
    renamed = config(
        CpiEntry(name="a", type="t", migrated_from=("", "o", "b")), CpiEntry(name="b", type="t")
    )
    assert renamed.names == ("a", "b")
    assert [renamed.current(name) for name in ("", "o", "a", "b", "gone")] == [
        *("a", "a", "a"),
        "b",  # defined still, so it is itself
        "gone",
    ]


def test_copies_of_stemcells_under_the_names_of_today() -> None:
    def copy(version: str, cpi: str, cid: str) -> Stemcell:
        return Stemcell(
            name="s", version=version, operating_system="os", cid=StemcellCid(cid), cpi=cpi
        )

    renamed = config(CpiEntry(name="a", type="t", migrated_from=("",)))
    found = renamed.current_copies(
        [copy("1", "", "old"), copy("2", "a", "new"), copy("2", "", "before"), copy("1", "x", "x")]
    )
    assert [(s.version, s.cpi, s.cid) for s in found] == [
        ("1", "a", "old"),
        ("2", "a", "new"),
        ("1", "x", "x"),
    ]

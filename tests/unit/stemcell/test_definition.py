"""Stemcell definitions, and the sources they are built from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from director.model.errors import StemcellInvalid
from director.stemcell.definition import read_definition
from director.stemcell.host_sources import source_lines

ROOT = Path(__file__).parents[3]
VALID = "name: a\noperating_system: b-1\nmajor: 1\nsuite: none-such\npackages: [monit]\n"


def test_ours_is_valid() -> None:
    definition = read_definition(ROOT / "stemcells" / "debian-12")
    assert definition.operating_system == "debian-12"
    assert {"openssh-server", "monit", "gcc", "make"} <= set(definition.packages)
    assert definition.customize is not None
    assert len(definition.fallback_sources) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not a stemcell definition"),
        (VALID + "sute: x\n", "unknown keys: sute"),
        (VALID.replace("name: a", "name: 'a b'"), "needs 'name'"),
        (VALID.replace("major: 1", "major: x"), "needs 'major'"),
        (VALID.replace("[monit]", "['--option']"), "list of package names"),
        (VALID + "fallback_sources: ['file:/ x y']\n", "fallback source"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "stemcell.yml").write_text(text)
    with pytest.raises(StemcellInvalid, match=words):
        read_definition(tmp_path)


def test_the_host_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "stemcell.yml").write_text(VALID + f"keyring: {tmp_path}/keys.gpg\n")
    definition = read_definition(tmp_path)
    with pytest.raises(StemcellInvalid, match=r"does not have the keyring") as caught:
        source_lines(definition)
    assert caught.value.fix == "install the package debian-archive-keyring"
    (tmp_path / "keys.gpg").touch()
    with pytest.raises(StemcellInvalid, match=r"no package source .* has the suite 'none-such'"):
        source_lines(definition)
    fallback = replace(definition, fallback_sources=(("http://x/debian", "none-such", "main"),))
    lines, own = source_lines(fallback)
    assert lines == (f"deb [signed-by={tmp_path}/keys.gpg] http://x/debian none-such main",)
    assert not own


LIGHT = "name: a\noperating_system: b-1\nmajor: 1\nlight: true\nformats: {ami: aws-light}\n"


@pytest.mark.parametrize(
    ("name", "system"), [("debian-12-cloud", "debian-12"), ("ubuntu-24.04-cloud", "ubuntu-noble")]
)
def test_our_light_ones_are_valid(name: str, system: str) -> None:
    definition = read_definition(ROOT / "stemcells" / name)
    assert definition.light
    assert definition.operating_system == system
    assert {"aws-light", "openstack-light"} <= set(definition.formats.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LIGHT.replace("true", "maybe"), "needs 'light' to be true or false"),
        (LIGHT + "suite: x\npackages: [monit]\n", "what builds an image: packages, suite"),
        (LIGHT.replace("{ami: aws-light}", "[aws-light]"), "'formats' to be a mapping"),
    ],
)
def test_what_is_wrong_with_a_light_one(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "stemcell.yml").write_text(text)
    with pytest.raises(StemcellInvalid, match=words):
        read_definition(tmp_path)

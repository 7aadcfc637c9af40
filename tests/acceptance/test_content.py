"""Releases and stemcells: made, uploaded every way, refused deletion while used, cleaned up."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from diary_release import Diary, write_release

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release directory nothing is deployed from, to be changed."""
    release = write_release(tmp_path_factory.mktemp("scratch"))
    (release / "config" / "final.yml").write_text("name: scratch\n")
    return release


def versions(lab: Any, name: str) -> list[str]:
    """Return the versions of a release the director has, the newest first."""
    return [row["version"] for row in lab.rows("releases") if row["name"] == name]


def change(release: Path, word: str) -> None:
    (release / "jobs" / "check" / "templates" / "bin-run.erb").write_text(f"echo {word}\n")


def test_releases(lab: Any, diary: Diary, scratch: Path, tmp_path: Path) -> None:
    tarball = tmp_path / "scratch.tgz"
    told = lab.run("create-release", "--dir", scratch, "--tarball", tarball)
    assert "0+dev.1" in told.stdout
    with tarfile.open(tarball) as opened:
        assert "release.MF" in {name.removeprefix("./") for name in opened.getnames()}
    lab.run("upload-release", tarball)
    assert versions(lab, "scratch") == ["0+dev.1"]
    assert "already exists" in lab.run("upload-release", tarball, "--tty").stdout

    change(scratch, "two")
    lab.run("upload-release", scratch)
    assert versions(lab, "scratch") == ["0+dev.2", "0+dev.1"]
    change(scratch, "three")
    lab.run("create-release", "--dir", scratch, "--tarball", tarball, "--version", "7")
    lab.run("upload-release", f"file://{tarball}")
    change(scratch, "four")
    lab.run("upload-release", "--dir", scratch)
    assert versions(lab, "scratch")[0] == "7"
    assert len(versions(lab, "scratch")) == 4

    refused = lab.run("delete-release", "diary", ok=False)
    assert refused.returncode == 1
    assert "in use" in refused.stdout + refused.stderr
    assert diary.name in refused.stdout + refused.stderr
    lab.run("delete-release", "scratch/0+dev.1")
    assert "0+dev.1" not in versions(lab, "scratch")
    assert "does not exist" in lab.run("delete-release", "scratch/0+dev.1", "--tty").stdout

    lab.run("clean-up")
    assert len(versions(lab, "scratch")) == 2, "the two newest are kept"
    lab.run("clean-up", "--all")
    assert versions(lab, "scratch") == []
    assert versions(lab, "diary") != []


def test_stemcells(lab: Any, diary: Diary) -> None:
    (stemcell,) = lab.rows("stemcells")
    assert stemcell["os"] == "debian-12"
    assert stemcell["version"].endswith("*"), "it is in use"
    name = f"{stemcell['name']}/{stemcell['version'].rstrip('*')}"
    refused = lab.run("delete-stemcell", name, ok=False)
    assert refused.returncode == 1
    assert "in use" in refused.stdout + refused.stderr
    assert diary.name in refused.stdout + refused.stderr
    lab.run("clean-up", "--all")
    assert lab.rows("stemcells") == [stemcell]

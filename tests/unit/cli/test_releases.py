"""Releases on their way up: only what is missing is built and sent."""

from __future__ import annotations

import io
import tarfile

import pytest
import yaml

from director.cli.release_upload import local_path
from director.model.errors import UsageError

MF = {
    "name": "r",
    "version": "1.2",
    "commit_hash": "abc",
    "uncommitted_changes": False,
    "jobs": [],
    "packages": [
        {"name": "known", "version": "f1", "fingerprint": "f1", "sha1": "a" * 40},
        {"name": "new", "version": "f2", "fingerprint": "f2", "sha1": "b" * 40},
    ],
}


@pytest.fixture
def tarball(tmp_path):
    path = tmp_path / "r.tgz"
    with tarfile.open(path, "w:gz") as tar:
        files = {
            "release.MF": yaml.safe_dump(MF),
            "packages/known.tgz": "k",
            "packages/new.tgz": "n",
        }
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return str(path)


def members(request) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(request.content)) as tar:
        return {name.removeprefix("./") for name in tar.getnames()}


def test_known_packages_are_left_out(cli, director, tarball):
    director.answer("GET /releases", [])
    director.answer("POST /packages/matches", ["f1"])
    director.starts("POST /releases")
    ran = cli("upload-release", tarball)
    assert ran.code == 0, ran.err
    (sent,) = director.asked("POST /releases")
    assert members(sent) == {"release.MF", "packages/new.tgz"}
    assert sent.headers["content-type"] == "application/x-compressed"


def test_fix_sends_all(cli, director, tarball):
    director.starts("POST /releases")
    assert cli("ur", tarball, "--fix").code == 0
    (sent,) = director.asked("POST /releases")
    assert members(sent) == {"release.MF", "packages/known.tgz", "packages/new.tgz"}
    assert sent.url.params["fix"] == "true"
    assert not director.asked("POST /packages/matches")


def test_a_release_that_is_there_is_not_sent(cli, director, tarball):
    director.answer("GET /releases", [{"name": "r", "release_versions": [{"version": "1.2"}]}])
    ran = cli("upload-release", tarball, "--json")
    assert ran.json["Lines"] == ["Release 'r/1.2' already exists."]
    assert not director.asked("POST /releases")


def test_url_is_the_directors_to_fetch(cli, director):
    director.starts("POST /releases")
    assert cli("upload-release", "https://example.org/r.tgz", "--sha1", "abc").code == 0
    (sent,) = director.asked("POST /releases")
    assert b'"location": "https://example.org/r.tgz"' in sent.content


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("git+https://example.org/r", "cannot be fetched from 'git+https:'"),
        ("/no/such.tgz", "does not exist"),
    ],
)
def test_bad_locations(cli, location, text):
    ran = cli("upload-release", location)
    assert ran.code == 1
    assert text in ran.err


def test_something_else_than_a_release(cli, tmp_path):
    path = tmp_path / "x.tgz"
    path.write_bytes(b"not a tarball")
    ran = cli("upload-release", str(path))
    assert ran.code == 1
    assert "Traceback" not in ran.err


def test_manifest_brings_a_tarball_along(cli, director, tarball, tmp_path):
    """It is uploaded, named by its version, and its path is not sent."""
    path = tmp_path / "m.yml"
    path.write_text(
        "name: d\n"
        "releases: [{name: r, version: latest, url: 'file://r.tgz'}]\n"
        "stemcells: [{alias: a, os: o, version: '1'}]\n"
        "update: {canaries: 1, max_in_flight: 1, canary_watch_time: 1, update_watch_time: 1}\n"
        "instance_groups: []\n"
    )
    director.answer("GET /releases", [])
    director.answer("POST /packages/matches", [])
    director.starts("POST /releases")
    director.answer("POST /deployments/d/diff", {"diff": []})
    director.starts("POST /deployments")
    ran = cli("deploy", str(path), "-n")
    assert ran.code == 0, ran.err
    sent = yaml.safe_load(director.asked("POST /deployments")[0].content)
    assert sent["releases"] == [{"name": "r", "version": "1.2"}]


def test_relative_paths_start_beside_the_manifest(tmp_path, monkeypatch):
    (tmp_path / "beside").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "only").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert local_path("file://beside", tmp_path) == tmp_path / "beside"
    assert local_path("file://only", tmp_path) == tmp_path / "here" / "only"
    with pytest.raises(UsageError):
        local_path("neither", tmp_path)


def test_stemcell(cli, director, tmp_path):
    path = tmp_path / "s.tgz"
    with tarfile.open(path, "w:gz") as tar:
        text = b"name: debian-12\nversion: 1.10\n"
        member = tarfile.TarInfo("stemcell.MF")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    asked: list[bytes] = []

    def needed(request):
        import httpx

        asked.append(request.content)
        return httpx.Response(200, json={"needed": False})

    director.answer("POST /stemcell_uploads", needed)
    assert cli("upload-stemcell", str(path)).code == 0
    assert b'"version": "1.10"' in asked[0]
    assert not director.asked("POST /stemcells")

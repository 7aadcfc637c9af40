"""Opening releases: whole ones, trimmed ones, and hostile ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from director.model.digests import multi_digest
from director.model.errors import DigestMismatch, DirectorError, ReleaseInvalid
from director.release.create_release import create_release
from director.release.open_release import open_release, read_manifest
from director.release.trim import trim


@pytest.fixture
def tarball(write_release: Any, tmp_path: Path) -> Path:
    target = tmp_path / "little.tgz"
    create_release(write_release(), tarball=target, force=True)
    return target


@pytest.fixture
def work(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    return made


def contents(tarball: Path) -> dict[str, bytes]:
    with tarfile.open(tarball) as archive:
        return {
            m.name: (archive.extractfile(m) or io.BytesIO()).read() for m in archive.getmembers()
        }


def pack(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return stream.getvalue()


def test_a_release_opens(tarball: Path, work: Path) -> None:
    opened = open_release(tarball, work)
    assert sorted(opened.files) == ["jobs/web", "packages/library", "packages/server"]
    release = opened.release
    assert release.packages["server"].dependencies == ("library",)
    assert release.jobs["web"].properties[0].default == 80
    assert release.jobs["web"].fingerprint == opened.manifest.jobs[0].fingerprint
    with tarball.open("rb") as stream:
        assert open_release(stream, work).release == release


def test_names_may_begin_with_a_dot(tarball: Path, work: Path, tmp_path: Path) -> None:
    dotted = tmp_path / "dotted.tgz"
    dotted.write_bytes(pack({f"./{name}": text for name, text in contents(tarball).items()}))
    assert open_release(dotted, work).release == open_release(tarball, work).release


def test_a_trimmed_release_lacks_what_is_known(tarball: Path, work: Path, tmp_path: Path) -> None:
    known = read_manifest(tarball).packages[0].fingerprint
    smaller = tmp_path / "smaller.tgz"
    trim(tarball, smaller, {known})
    opened = open_release(smaller, work)
    assert sorted(opened.files) == ["jobs/web", "packages/server"]
    assert sorted(opened.release.packages) == ["library", "server"]


Change = Callable[[dict[str, bytes], dict[str, Any]], None]


def replaced(kind: str, content: bytes) -> Change:
    """A change that replaces the first archive of a kind, with a digest that fits."""

    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        entry = manifest[kind][0]
        files[f"{kind}/{entry['name']}.tgz"] = content
        entry["sha1"] = multi_digest(io.BytesIO(content))

    return change


def altered(**values: Any) -> Change:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        manifest.update(values)

    return change


def without(name: str) -> Change:
    return lambda files, manifest: files.pop(name) and None


JOB = {"job.MF": b"name: web\n", "monit": b""}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(without("jobs/web.tgz"), "archive of job 'web' is not in", id="no job"),
        pytest.param(
            replaced("packages", pack({"../evil": b""})),
            "package 'library' holds '../evil'",
            id="../",
        ),
        pytest.param(
            replaced("packages", b"text"), "package 'library' is not a readable", id="text"
        ),
        pytest.param(
            replaced("jobs", pack(JOB, {"templates": "/etc"})),
            "job 'web' holds",
            id="job with link",
        ),
        pytest.param(
            replaced("jobs", pack({**JOB, "job.MF": b"name: other\n"})),
            "name is 'other'",
            id="name",
        ),
        pytest.param(replaced("jobs", pack({"monit": b""})), "has no job.MF", id="no job.MF"),
        pytest.param(
            replaced("jobs", pack({**JOB, "job.MF": b"name: web\npackages: [nope]\n"})),
            "does not have: nope",
            id="needs unlisted package",
        ),
        pytest.param(altered(name="../../x"), "is not a name", id="release name"),
        pytest.param(altered(version="a/b"), "is not a name", id="version"),
        pytest.param(altered(packages=[]), "needs package 'server'", id="no packages"),
        pytest.param(altered(jobs={"a": 1}), "must be a list", id="jobs no list"),
        pytest.param(altered(jobs=[{"name": "web"}]), "has no fingerprint", id="bare job"),
    ],
)
def test_what_is_wrong_is_said(
    tarball: Path, work: Path, tmp_path: Path, change: Change, words: str
) -> None:
    files = contents(tarball)
    manifest = yaml.safe_load(files.pop("release.MF"))
    change(files, manifest)
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(pack({"release.MF": yaml.safe_dump(manifest).encode(), **files}))
    with pytest.raises(DirectorError, match=words):
        open_release(bad, work)


def test_a_wrong_digest(tarball: Path, work: Path, tmp_path: Path) -> None:
    files = contents(tarball)
    files["packages/server.tgz"] += b"\0"
    bad = tmp_path / "bad.tgz"
    bad.write_bytes(pack(files))
    with pytest.raises(DigestMismatch, match="package 'server' has sha256"):
        open_release(bad, work)


def test_what_is_no_release(work: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tgz"
    for content, words in (
        (b"", "not a readable tar archive"),
        (pack({"a": b""}), "has no release.MF"),
        (pack({"release.MF": b"a"}, {"jobs/web.tgz": "/etc/passwd"}), "leads out"),
        (pack({"release.MF": b"a"}, {"jobs/web.tgz": "other"}), "a release has none"),
        (pack({"release.MF": b"\xff"}), "release.MF cannot be read"),
        (pack({"release.MF": b"x" * 10_000_001}), "is longer than"),
    ):
        bad.write_bytes(content)
        with pytest.raises(ReleaseInvalid, match=words):
            open_release(bad, work)
    with pytest.raises(ReleaseInvalid, match="cannot be read"):
        open_release(tmp_path / "nothing", work)
    good = pack({"release.MF": b"name: a\nversion: 1\n", "jobs/a.tgz": b"x" * 1000})
    with pytest.raises(ReleaseInvalid, match="over 500 bytes"):
        open_release(_as_stream(good), work, max_bytes=500)


def _as_stream(content: bytes) -> Any:
    return io.BytesIO(content)

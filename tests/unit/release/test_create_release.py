"""Making releases: versions, what is packed, and what is refused."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from director.model.errors import DirectorError, ReleaseInvalid
from director.release.create_release import Built, create_release
from director.release.release_manifest import read_release_manifest


def create(root: Path, **options: Any) -> Built:
    return create_release(root, **{"force": True, "now": lambda: 1234.5, **options})


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as opened:
        return sorted(name.removeprefix("./") for name in opened.getnames())


def test_a_tarball_holds_what_the_specs_name(write_release: Any, tmp_path: Path) -> None:
    built = create(write_release({"LICENSE": "free\n"}), tarball=tmp_path / "out" / "r.tgz")
    assert built.tarball is not None
    assert names(built.tarball) == [
        "jobs/web.tgz",
        "license.tgz",
        "packages/library.tgz",
        "packages/server.tgz",
        "release.MF",
    ]
    assert names(built.members["jobs/web.tgz"]) == ["job.MF", "monit", "templates/ctl.erb"]
    assert names(built.members["packages/server.tgz"]) == ["packaging", "server/a.c"]
    assert names(built.members["packages/library.tgz"]) == ["library/deep/down/x.h", "packaging"]
    manifest = read_release_manifest(built.manifest_file.read_text())
    assert manifest == built.manifest
    assert (manifest.name, manifest.version, manifest.commit_hash) == (
        "little",
        "0+dev.1",
        "non-git",
    )
    assert [package.needs for package in manifest.packages] == [(), ("library",)]


def test_versions_grow_when_something_changes(write_release: Any) -> None:
    root = write_release()
    first = create(root)
    again = create(root)
    assert (first.version, first.is_new) == ("0+dev.1", True)
    assert (again.version, again.is_new) == ("0+dev.1", False)
    changed = create(write_release({"src/server/a.c": "int main2;\n"}))
    assert changed.version == "0+dev.2"
    before, after = (
        {e.name: e.fingerprint for e in (*b.manifest.packages, *b.manifest.jobs)}
        for b in (first, changed)
    )
    assert {name for name in before if before[name] != after[name]} == {"server"}
    assert create(root, timestamp_version=True).version == "0+dev.1234"
    assert create(root, version="7").version == "7"


def test_dev_versions_follow_the_last_final_one(write_release: Any) -> None:
    index = "builds: {a: {version: '1.9'}, b: {version: '1.10'}}\nformat-version: '2'\n"
    assert create(write_release({"releases/little/index.yml": index})).version == "1.10+dev.1"


def test_the_same_files_give_the_same_bytes(write_release: Any, tmp_path: Path) -> None:
    root = write_release()
    one, two = tmp_path / "1.tgz", tmp_path / "2.tgz"
    create(root, tarball=one)
    subprocess.run(["rm", "-r", root / ".dev_builds"], check=True)
    create(root, tarball=two)
    assert one.read_bytes() == two.read_bytes()


def test_a_damaged_build_is_made_again(write_release: Any) -> None:
    root = write_release()
    path = create(root).members["packages/server.tgz"]
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    create(root)
    assert path.read_bytes() == good


def test_pre_packaging_prepares_what_is_packed(write_release: Any) -> None:
    script = 'cp "$RELEASE_DIR/config/final.yml" "$BUILD_DIR/made"; rm server/a.c\n'
    root = write_release({"packages/server/pre_packaging": script})
    assert names(create(root).members["packages/server.tgz"]) == ["made", "packaging"]
    with pytest.raises(ReleaseInvalid, match="pre_packaging of package 'server' exited with 3"):
        create(write_release({"packages/server/pre_packaging": "exit 3\n"}))


def test_blobs_come_after_src(write_release: Any) -> None:
    root = write_release(
        {
            "packages/server/spec": "name: server\nfiles: [server/*]\n",
            "blobs/server/a.c": "the blob\n",
            "blobs/server/z.bin": "only a blob\n",
        }
    )
    with tarfile.open(create(root).members["packages/server.tgz"]) as archive:
        source = archive.extractfile("./server/a.c")
        assert source is not None
        assert source.read() == b"int main;\n"
        assert "./server/z.bin" in archive.getnames()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"packages/server/spec": "name: server\nfiles: [no/*]\n"}, "'no/\\*', and none"),
        ({"packages/server/spec": "name: server\nfiles: [../../*]\n"}, "outside of src"),
        ({"packages/server/spec": "name: other\n"}, "says its name is 'other'"),
        ({"packages/server/packaging": None}, "has no 'packaging' script"),
        ({"packages/server/spec.lock": "name: server\n"}, "vendored"),
        ({"packages/library/spec": "name: library\ndependencies: [server]\n"}, "in a circle"),
        (
            {"packages/library/spec": "name: library\ndependencies: [nope]\n"},
            "needs package 'nope'",
        ),
        ({"jobs/web/monit": None}, "has no 'monit' file"),
        ({"jobs/web/spec": "name: web\npackages: [nope]\n"}, "needs package 'nope'"),
        ({"config/final.yml": "name: ../x\n"}, "is not a name"),
    ],
)
def test_what_is_wrong_is_said(write_release: Any, changes: Any, words: str) -> None:
    with pytest.raises(DirectorError, match=words):
        create(write_release(changes))


def test_no_release_directory(tmp_path: Path) -> None:
    with pytest.raises(ReleaseInvalid, match="is not a release directory"):
        create(tmp_path)


def test_uncommitted_changes_need_force(write_release: Any) -> None:
    root = write_release({".gitignore": ".dev_builds/\ndev_releases/\n"})
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert create(root).manifest.commit_hash == "empty"
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    clean = create(root, force=False)
    assert len(clean.manifest.commit_hash) >= 7
    assert not clean.manifest.uncommitted_changes
    write_release({"src/server/a.c": "changed\n"})
    with pytest.raises(ReleaseInvalid, match=r"not committed:\n    src/server/a.c"):
        create(root, force=False)
    assert create(root).manifest.uncommitted_changes

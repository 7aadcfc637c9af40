"""Releases and stemcells: uploaded, shared, deleted, cleaned up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from builders import stemcell
from worlds import Heard, stemcell_tarball

from cpis.memory import MemoryCpi
from director.blobs.directory import DirectoryBlobs
from director.execute.run import TaskRun
from director.execute.world import World
from director.model.configs import CpiConfig
from director.model.errors import (
    DigestMismatch,
    ReleaseInUse,
    ReleaseInvalid,
    ReleaseMismatch,
    ReleaseNotFound,
    ReleaseVersionInUse,
    StemcellInUse,
    StemcellInvalid,
    StemcellNotFound,
    YamlError,
)
from director.model.events import ProgressState
from director.model.ids import BlobId
from director.model.instances import RecordedDisk
from director.model.records import DeploymentRecord
from director.model.release import CompiledPackage, dependency_key
from director.operations.clean_up import clean_up, dry_run
from director.operations.delete_release import delete_release
from director.operations.delete_stemcell import delete_stemcell
from director.operations.upload_release import packages_matching, upload_release
from director.operations.upload_stemcell import upload_stemcell
from director.release.create_release import create_release
from director.release.trim import trim
from director.store.store import Store, open_store

Write = Callable[..., Path]


@dataclass
class SmallWorld:
    """As much of the world as these operations use."""

    store: Store
    blobs: DirectoryBlobs
    work_dir: Path
    memory: MemoryCpi
    now: Callable[[], float] = lambda: 100.5
    heard: Heard = field(default_factory=Heard)

    def cpi(self, _name: str) -> MemoryCpi:
        return self.memory

    def cpi_config(self) -> CpiConfig:
        return CpiConfig()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallWorld]:
    store = open_store(f"sqlite:///{tmp_path}/d.db", tmp_path / "tasks", now=lambda: 100.5)
    (tmp_path / "work").mkdir()
    yield SmallWorld(store, DirectoryBlobs(tmp_path / "blobs"), tmp_path / "work", MemoryCpi({}))
    store.close()


def run(small: SmallWorld, operation: Callable[[World, TaskRun], str], **args: Any) -> str:
    small.heard = Heard()
    return operation(cast(World, small), small.heard.run(**args))


def steps(small: SmallWorld) -> list[str]:
    """The finished steps, as ``stage: step`` without fingerprints."""
    return [
        f"{line.stage}: {line.task.split('/')[0]}" if line.task != line.stage else line.stage
        for line in small.heard.progress
        if line.state is ProgressState.FINISHED
    ]


@pytest.fixture
def tarball(write_release: Write, tmp_path: Path) -> Callable[..., Path]:
    """Make a tarball of the little release, with changes, in a version."""

    def make(version: str = "1", changes: Any = None) -> Path:
        target = tmp_path / f"little-{version}.tgz"
        create_release(write_release(changes), tarball=target, version=version, force=True)
        return target

    return make


def test_a_release_is_uploaded_once(small: SmallWorld, tarball: Any) -> None:
    path = str(tarball())
    assert run(small, upload_release, path=path) == "Created release 'little/1'"
    assert steps(small) == [
        "Extracting release",
        "Verifying manifest",
        "Creating new packages: library",
        "Creating new packages: server",
        "Creating new jobs: web",
        "Release has been created: little",
    ]
    release = small.store.releases.get("little", "1")
    assert release is not None
    for kept in (*release.jobs.values(), *release.packages.values()):
        assert kept.blob is not None
        assert small.blobs.exists(kept.blob)
    run(small, upload_release, path=path)
    assert steps(small) == [
        "Extracting release",
        "Verifying manifest",
        "Processing 2 existing packages",
        "Processing 1 existing job",
        "Release has been created: little",
    ]
    assert small.store.releases.get("little", "1") == release
    assert list(small.work_dir.iterdir()) == []


def test_another_version_shares_what_is_the_same(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    run(small, upload_release, path=str(tarball("2", {"src/server/a.c": "other\n"})))
    assert "Creating new packages: server" in steps(small)
    assert "Processing 1 existing package" in steps(small)
    assert len(list(small.blobs.list())) == 4


def test_other_content_in_the_same_version_is_refused(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    other = tarball("1", {"src/server/a.c": "other\n"})
    with pytest.raises(ReleaseMismatch, match="another package 'server'"):
        run(small, upload_release, path=str(other))
    with pytest.raises(ReleaseMismatch):
        run(small, upload_release, path=str(other), fix=True)
    assert run(small, upload_release, path=str(other), rebase=True) == (
        "Created release 'little/1+dev.1'"
    )


def test_another_commit_in_the_same_version_is_refused(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    release = small.store.releases.get("little", "1")
    assert release is not None
    small.store.releases.add(replace(release, commit_hash="abc", uncommitted_changes=True))
    with pytest.raises(ReleaseMismatch, match=r"commit 'abc\+' instead of 'non-git'"):
        run(small, upload_release, path=str(tarball("1")))


def test_packages_the_director_has_need_not_be_sent(
    small: SmallWorld, tarball: Any, tmp_path: Path
) -> None:
    first, second = tarball("1"), tarball("2")
    trimmed = tmp_path / "trimmed.tgz"
    world = cast(World, small)
    text = (tmp_path / "little-release/dev_releases/little/little-2.yml").read_text()
    assert packages_matching(world, text) == []
    run(small, upload_release, path=str(first))
    known = packages_matching(world, text)
    assert len(known) == 2
    trim(second, trimmed, known)
    run(small, upload_release, path=str(trimmed))
    assert "Processing 2 existing packages" in steps(small)

    release = small.store.releases.get("little", "1")
    assert release is not None
    small.blobs.delete(cast(BlobId, release.packages["server"].blob))
    assert len(packages_matching(world, text)) == 1
    with pytest.raises(ReleaseInvalid, match=r"sent without packages .*'server/"):
        run(small, upload_release, path=str(trimmed))
    run(small, upload_release, path=str(second), fix=True)
    assert len(packages_matching(world, text)) == 2
    with pytest.raises(YamlError):
        packages_matching(world, "packages: 3")


def test_the_upload_is_removed_and_a_file_elsewhere_is_not(small: SmallWorld, tarball: Any) -> None:
    kept = tarball()
    sent = small.work_dir / "upload-1"
    sent.write_bytes(kept.read_bytes())
    run(small, upload_release, path=str(sent))
    run(small, upload_release, path=str(kept))
    sent.write_bytes(b"no release")
    with pytest.raises(ReleaseInvalid):
        run(small, upload_release, path=str(sent))
    assert kept.exists()
    assert list(small.work_dir.iterdir()) == []


def test_a_digest_given_is_checked(small: SmallWorld, tarball: Any) -> None:
    with pytest.raises(DigestMismatch):
        run(small, upload_release, path=str(tarball()), sha1="0" * 40)


def compiled_for(small: SmallWorld, version: str = "1") -> None:
    """Act as if the packages of a release version had been compiled."""
    release = small.store.releases.get("little", version)
    assert release is not None
    for name, package in release.packages.items():
        with (small.work_dir / "c").open("wb+") as stream:
            stream.write(name.encode() + version.encode())
            stream.seek(0)
            blob = small.blobs.put(stream)
        (small.work_dir / "c").unlink()
        small.store.releases.add_compiled(
            CompiledPackage(
                name=name,
                fingerprint=package.fingerprint,
                stemcell_os="debian-12",
                stemcell_version="1",
                dependency_key=dependency_key(release, name),
                blob=blob,
                digest=f"sha256:{blob}",
            )
        )


def deployed(small: SmallWorld, **pairs: tuple[tuple[str, str], ...]) -> None:
    small.store.deployments.record(DeploymentRecord(name="cf", manifest="name: cf", **pairs))


def test_a_deleted_version_takes_along_what_is_only_its(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    run(small, upload_release, path=str(tarball("2", {"src/server/a.c": "other\n"})))
    compiled_for(small, "1")
    assert run(small, delete_release, name="little", version="1") == "/release/little"
    assert steps(small) == ["Deleting release versions: little"]
    assert [c.name for c in small.store.releases.all_compiled()] == ["library"]
    assert len(list(small.blobs.list())) == 4  # three of version 2, and library's compiled one
    run(small, delete_release, name="little", version=None)
    assert list(small.blobs.list()) == []


def test_what_is_deployed_is_not_deleted(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    deployed(small, releases=(("little", "1"),))
    with pytest.raises(ReleaseVersionInUse, match="'little/1' is still in use by: cf"):
        run(small, delete_release, name="little", version="1")
    with pytest.raises(ReleaseInUse, match="'little' is still in use by: cf"):
        run(small, delete_release, name="little", force=True)
    with pytest.raises(ReleaseNotFound):
        run(small, delete_release, name="other")


def test_a_stemcell_goes_to_the_cloud_once(small: SmallWorld, tmp_path: Path) -> None:
    path = str(stemcell_tarball(tmp_path))
    assert run(small, upload_stemcell, path=path) == "/stemcells/little/1"
    assert len(small.store.stemcells.copies("little", "1")) == 1
    assert steps(small) == [
        "Update stemcell: Extracting stemcell archive",
        "Update stemcell: Verifying stemcell manifest",
        "Update stemcell: Checking if this stemcell already exists",
        "Update stemcell: Uploading stemcell little",
        "Update stemcell: Save stemcell little",
    ]
    run(small, upload_stemcell, path=path)
    assert len(steps(small)) == 3
    run(small, upload_stemcell, path=path, fix=True)
    assert len(small.store.stemcells.list()) == 1


def test_a_stemcell_of_another_cloud(small: SmallWorld, tmp_path: Path) -> None:
    with pytest.raises(StemcellInvalid, match="has the format aws-light"):
        run(small, upload_stemcell, path=str(stemcell_tarball(tmp_path, format="aws-light")))


def test_deleting_a_stemcell(small: SmallWorld, tmp_path: Path, tarball: Any) -> None:
    run(small, upload_stemcell, path=str(stemcell_tarball(tmp_path)))
    run(small, upload_release, path=str(tarball()))
    compiled_for(small)
    deployed(small, stemcells=(("little", "1"),))
    with pytest.raises(StemcellInUse, match="still in use by: cf"):
        run(small, delete_stemcell, name="little", version="1")
    deployed(small)
    assert run(small, delete_stemcell, name="little", version="1") == "/stemcells/little/1"
    assert small.store.stemcells.list() == []
    assert small.store.releases.all_compiled() == []
    with pytest.raises(StemcellNotFound):
        run(small, delete_stemcell, name="little", version="1")


def test_a_clean_up_keeps_two_unused_versions(small: SmallWorld, tarball: Any) -> None:
    for version in ("1", "2", "9", "10"):
        run(small, upload_release, path=str(tarball(version)))
        small.store.stemcells.add(stemcell(version))
    deployed(small, releases=(("little", "1"),), stemcells=(("director-debian-12", "10"),))
    planned = dry_run(cast(World, small), {})
    assert planned["releases"] == [{"name": "little", "versions": ["2"]}]
    assert [s["version"] for s in planned["stemcells"]] == ["1"]
    assert run(small, clean_up).startswith("Deleted 1 release(s), 1 stemcell(s), 0 extra")
    assert {r.version for r in small.store.releases.list()} == {"1", "9", "10"}
    assert {s.version for s in small.store.stemcells.list()} == {"2", "9", "10"}


def test_a_clean_up_of_everything(small: SmallWorld, tarball: Any) -> None:
    run(small, upload_release, path=str(tarball("1")))
    compiled_for(small)
    small.store.stemcells.add(stemcell("1"))
    cid = small.memory.create_disk(100, {}, None, token="t")
    small.store.disks.intend(
        RecordedDisk(token="t", deployment="cf", instance_name="a/b", size_mb=100)
    )
    small.store.disks.created("t", cid)
    small.store.disks.orphan(cid, 1.0)
    assert dry_run(cast(World, small), {"remove_all": True})["orphaned_disks"][0]["disk_cid"] == cid
    assert "0 orphaned disk(s)" in run(small, clean_up, remove_all=True, keep_orphaned_disks=True)
    assert small.store.releases.list() == []
    assert list(small.blobs.list()) == []
    assert "1 orphaned disk(s)" in run(small, clean_up, remove_all=True)
    assert not small.memory.has_disk(cid)

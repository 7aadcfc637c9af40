"""The releases, stemcells and manifests that come with the project are whole."""

from __future__ import annotations

import importlib.resources
import shutil
from pathlib import Path

import pytest

from director.release.blobs_fetch import read_blobs
from director.release.source_dir import ReleaseDir

ROOT = Path(__file__).parents[3]


def test_the_sample_cloud_config_is_the_default_one() -> None:
    ours = importlib.resources.files("director.data") / "cloud-config-local.yml"
    assert (ROOT / "manifests" / "cloud-config-local.yml").read_text() == ours.read_text()


@pytest.mark.parametrize("name", ["redis", "greeter"])
def test_a_release_can_be_read(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    shutil.copytree(
        ROOT / "releases" / name,
        root,
        ignore=shutil.ignore_patterns("blobs", ".dev_builds", "dev_releases"),
    )
    for blob in read_blobs(root):
        assert any("debian" in source for source in blob.sources)
        place = root / "blobs" / blob.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    source = ReleaseDir(root)
    assert source.name == name
    packages = {package.name: package for package in source.packages()}
    jobs = {item.job.name: item.job for item in source.jobs()}
    assert all(needed in packages for job in jobs.values() for needed in job.packages)
    if name == "redis":
        assert jobs["redis-smoke-test"].is_errand
        assert jobs["redis"].provides[0].type == jobs["redis"].consumes[0].type == "redis"
    else:
        assert packages["greeter"].dependencies == ("greeting",)
        assert all(template.endswith(".j2") for template in jobs["greeter"].templates)


def test_no_secret_stands_in_a_script() -> None:
    for template in (ROOT / "releases/redis/jobs").rglob("*.sh.erb"):
        assert "p('password')" not in template.read_text()

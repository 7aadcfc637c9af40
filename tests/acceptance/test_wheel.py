"""The project as a wheel, installed where there is no checkout, used from another directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from little_release import WriteRelease, write_release
from real_director import REPOSITORY, Director
from worlds import stemcell_tarball

__all__ = ["write_release"]

DEPLOYMENT = """
name: little
releases: [{name: little, version: create, url: file://%s}]
stemcells: [{alias: default, os: debian-12, version: latest}]
update: {canaries: 1, max_in_flight: 2, canary_watch_time: 1, update_watch_time: 1}
variables: [{name: secret, type: password}]
instance_groups:
- {name: web, instances: 2, azs: [z1], vm_type: small, stemcell: default,
   networks: [{name: default}],
   jobs: [{name: web, release: little, properties: {port: ((secret))}}]}
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from this checkout; it must succeed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy: what an earlier build left is not in it."""
    directory = tmp_path_factory.mktemp("wheel")
    source = directory / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("director", "cpis"):
        shutil.copytree(
            REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    run(*pip, "--no-deps", "--wheel-dir", directory, source, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The ``bin`` of an environment with the wheel, and with what it depends on lent from here."""
    environment = wheel.parent / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=wheel.parent)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", wheel, cwd=wheel.parent)
    # Only a path: the file that leads from there to this checkout is not followed.
    (site / "lent.pth").write_text(str(Path(pytest.__file__).parents[1]) + "\n")
    where = run(python, "-c", "import director; print(director.__file__)", cwd=wheel.parent)
    assert Path(where.strip()).is_relative_to(site)
    return python.parent


def test_everything_that_is_no_module_is_in_it(wheel: Path) -> None:
    packed = {
        name
        for name in zipfile.ZipFile(wheel).namelist()
        if not name.endswith(".py") and ".dist-info/" not in name
    }
    data = {
        file.relative_to(REPOSITORY).as_posix()
        for top in ("director", "cpis")
        for file in (REPOSITORY / top).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert packed == data
    for kind in (".json", ".rb", ".sh", ".yml"):
        assert any(name.endswith(kind) for name in packed), kind


def test_the_wheel_brings_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"director", "cpis"}


def test_it_deploys_from_another_directory(
    installed: Path, tmp_path: Path, write_release: WriteRelease
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    cloud = {"name": "memory", "properties": {"state_file": str(tmp_path / "cloud.json")}}
    (home / "director.yml").write_text(json.dumps({"cpi": cloud}))
    spec = "name: web\ntemplates: {ctl.erb: bin/ctl, web.j2: config/web}\nproperties: {port: {}}\n"
    release = write_release(
        {
            "jobs/web/spec": spec,
            "jobs/web/templates/ctl.erb": "#!/bin/sh\necho <%= p('port') %>\n",
            "jobs/web/templates/web.j2": "{{ p('port') }}\n",
        }
    )
    (tmp_path / "little.yml").write_text(DEPLOYMENT % release)
    director = Director(home=home, subnet="", command=[installed / "director"])

    assert "deploy" in director.run("--help", cwd=tmp_path).stdout
    director.run("deployments", cwd=tmp_path)
    director.run("update-cloud-config", "--local", cwd=tmp_path)
    director.run("upload-stemcell", stemcell_tarball(tmp_path), cwd=tmp_path)
    director.run("deploy", "little.yml", cwd=tmp_path)
    assert [row["az"] for row in director.rows("-d", "little", "instances")] == ["z1", "z1"]

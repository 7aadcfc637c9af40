"""The director as its users run it: the command line as a process, real machines, real SSH.

One home directory serves the whole session, because a stemcell is uploaded and packages are
compiled only once that way. Whatever a killed run left on this host, the next run removes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import local_machines
import pytest
from diary_release import Diary, diary_manifest, more_networks, write_release
from real_director import Director, cloud_config, prepare, remove_home

from cpis.local.state import is_alive, process_start

HOMES = Path("/var/tmp/director-tests")


@pytest.fixture(scope="session")
def homes() -> Iterator[Path]:
    """A directory for the homes of this run; those of killed runs are removed first."""
    if os.geteuid() != 0:
        pytest.fail("acceptance tests make real machines: run them as root")
    HOMES.mkdir(mode=0o700, exist_ok=True)
    for old in HOMES.iterdir():
        pid, _, started = old.name.partition("-")
        if not (pid.isdigit() and is_alive(int(pid), started)):
            for home in old.iterdir():
                remove_home(home)
            shutil.rmtree(old, ignore_errors=True)
    mine = HOMES / f"{os.getpid()}-{process_start(os.getpid())}"
    mine.mkdir()
    yield mine
    for home in mine.iterdir():
        remove_home(home)
    shutil.rmtree(mine)


@pytest.fixture(scope="session")
def stemcell_tarball() -> Path:
    """The Debian 12 stemcell, built once for each state of its definition and kept in a cache."""
    return local_machines.stemcell_tarball()


@pytest.fixture(scope="session")
def director(homes: Path, stemcell_tarball: Path) -> Director:
    """A director with a stemcell and a cloud config."""
    made = Director(home=homes / "shared", subnet="10.246.0")
    prepare(made, stemcell_tarball)
    return made


@pytest.fixture(scope="session")
def lab(homes: Path, stemcell_tarball: Path) -> Director:
    """A director of its own for tests that share a deployment, with some more networks."""
    made = Director(home=homes / "lab", subnet="10.233.1")
    prepare(made, stemcell_tarball, more_networks(cloud_config(made.subnet), "10.233"))
    return made


@pytest.fixture(scope="session")
def diary(lab: Director, tmp_path_factory: pytest.TempPathFactory) -> Diary:
    """A deployment that several modules share: two instances that keep a diary, and an errand.

    A test that changes it leaves two running instances; with its director's home it is removed.
    """
    directory = tmp_path_factory.mktemp("diary")
    release = write_release(directory / "release")
    made = Diary(director=lab, directory=directory, manifest=diary_manifest("diary", release))
    made.deploy()
    return made

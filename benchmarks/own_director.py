"""A director for one benchmark: its own home, subnet, stemcell and releases, gone afterwards."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))

from local_machines import stemcell_tarball  # noqa: E402
from real_director import Director, prepare, remove_home  # noqa: E402

_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one command of the director cost.

    ``wall_s`` is the whole process, ``task_s`` its last task alone, start to end. ``cpu_s`` is the
    processor time of the process and of the template workers it waited for; ``peak_mb`` the most
    memory the process held, ``threads`` the most threads it had.
    """

    wall_s: float
    task_s: float
    cpu_s: float
    peak_mb: float
    threads: int
    debug: str

    @property
    def ssh_commands(self) -> list[str]:
        """What was done over SSH, as the task's developers' log tells it."""
        return re.findall(r"director\.machine\.connection \[[^]]*\] (.*)", self.debug)


@contextmanager
def own_director(subnet: str) -> Iterator[Director]:
    """Yield a director with a stemcell and a cloud config on ``subnet`` (``10.x.y``).

    All it makes on this host goes at the end. Needs root.
    """
    if os.geteuid() != 0:
        sys.exit("this benchmark makes real machines: run it as root")
    # Not in /tmp, which may be memory: the machines' disks are made below it.
    home = Path(tempfile.mkdtemp(prefix="director-benchmark-", dir="/var/tmp"))
    director = Director(home=home / "home", subnet=subnet)
    try:
        prepare(director, stemcell_tarball())
        yield director
    finally:
        remove_home(home / "home")
        shutil.rmtree(home)


def twenty(director: Director, release: str, instances: int) -> Path:
    """Write the manifest of so many instances of a release's job, and return its path."""
    sources = director.home.parent / release
    if not sources.exists():
        # A copy, for dev versions are recorded in the release's directory.
        left_out = shutil.ignore_patterns("dev_releases", ".dev_builds")
        shutil.copytree(REPOSITORY / "releases" / release, sources, ignore=left_out)
    manifest = yaml.safe_load((REPOSITORY / "manifests" / f"{release}.yml").read_text())
    manifest["name"] = f"many-{release}"
    manifest["releases"][0]["url"] = f"file://{sources}"
    manifest["update"].update(canaries=1, max_in_flight=20)
    manifest["update"].update(canary_watch_time="100-30000", update_watch_time="100-30000")
    group = manifest["instance_groups"][0]
    group.update(instances=instances, vm_type="small", azs=["z1", "z2"])
    group.pop("persistent_disk_type", None)
    manifest["instance_groups"] = [group]
    path = director.home.parent / f"many-{release}-{instances}.yml"
    path.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return path


def measure(director: Director, *args: str | Path) -> Run:
    """Run a command to its end and say what it cost; exits the program if it fails."""
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*director.command, "-n", *map(str, args)],
            cwd=REPOSITORY,
            env=director.environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        watch = _Watch(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.end()
        said.seek(0)
        if process.returncode != 0:
            sys.exit(f"director {' '.join(map(str, args))} failed:\n{said.read()}")
    task = last_task(director)
    return Run(
        wall_s=wall_s,
        task_s=task["finished_at"] - task["started_at"],
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=watch.peak_kb / 1024,
        threads=watch.threads,
        debug=_read(director.home / "tasks" / str(task["id"]) / "debug"),
    )


def last_task(director: Director) -> Mapping[str, Any]:
    """Return the newest task; from the database, for the API tells whole seconds only."""
    with closing(sqlite3.connect(director.home / "director.db")) as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT * FROM tasks ORDER BY id DESC LIMIT 1").fetchone()
    return dict(row)


class _Watch:
    """Reads a process's peak of memory and number of threads while it lives."""

    def __init__(self, pid: int) -> None:
        self.peak_kb = 0
        self.threads = 0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            for line in _read(self._status).splitlines():
                key, _, value = line.partition(":")
                if key == "VmHWM":
                    self.peak_kb = max(self.peak_kb, int(value.split()[0]))
                elif key == "Threads":
                    self.threads = max(self.threads, int(value))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns, the first to the left and the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (titles, *rows)
    )

"""A director as its users run it: the command line as a process, with a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpis.local import LocalCpi
from cpis.local.bridges import HOST_DIRECTORY
from cpis.local.state import read_json

REPOSITORY = Path(__file__).parents[1]
ENDLESS_S = 600


@dataclass
class Director:
    """A command line with a home of its own."""

    home: Path
    subnet: str
    env: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str | Path] = (sys.executable, "-m", "director")

    @property
    def environment(self) -> dict[str, str]:
        bosh = {key for key in os.environ if key.startswith("BOSH_")}
        kept = {key: value for key, value in os.environ.items() if key not in bosh}
        return {**kept, "DIRECTOR_HOME": str(self.home), **self.env}

    def run(
        self,
        *args: str | Path,
        ok: bool = True,
        cwd: Path = REPOSITORY,
        timeout_s: float = ENDLESS_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``director ARGS``; with ``ok`` a failure fails the test with all that was printed.

        Whatever happens, nobody is shown a Python traceback.
        """
        done = subprocess.run(
            [*self.command, "-n", *map(str, args)],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        told = f"$ director {' '.join(map(str, args))}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in told, told
        if ok:
            assert done.returncode == 0, told
        return done

    def start(self, *args: str | Path, cwd: Path = REPOSITORY) -> subprocess.Popen[str]:
        """Start ``director ARGS`` in a session of its own, to be killed."""
        return subprocess.Popen(
            [*self.command, "-n", *map(str, args)],
            cwd=cwd,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def rows(self, *args: str) -> list[dict[str, str]]:
        """Return the rows of the tables a command prints with --json."""
        tables = json.loads(self.run("--json", *args).stdout)["Tables"] or []
        return [row for table in tables for row in table["Rows"]]

    def get(self, path: str) -> Any:
        """Return what the director's API answers to a GET."""
        return json.loads(self.run("curl", path).stdout)

    def cpi(self) -> Any:
        """Return this director's local CPI, to see what really is there."""
        return LocalCpi(
            {"root": str(self.home / "local"), "director_id": self.get("/info")["uuid"]}
        )


def cloud_config(subnet: str) -> str:
    """Return a cloud config with three AZs on 10.x.y.0/24, where ``subnet`` is ``10.x.y``."""
    text = (REPOSITORY / "manifests" / "cloud-config-local.yml").read_text()
    return text.replace("10.245.0.", f"{subnet}.")


def prepare(director: Director, stemcell_tarball: Path, config_text: str = "") -> None:
    """Give a new director the stemcell and the cloud config every test needs."""
    director.run("upload-stemcell", stemcell_tarball)
    config = director.home.parent / f"cloud-config-{director.home.name}.yml"
    config.write_text(config_text or cloud_config(director.subnet))
    director.run("update-cloud-config", config)
    config.unlink()


def remove_home(home: Path) -> None:
    """Remove a test's home with every machine, disk and bridge its director made."""
    for entry in sorted((HOST_DIRECTORY / "directors").glob("*.json")):
        known = read_json(entry) or {}
        if Path(known.get("root", "/")).is_relative_to(home):
            LocalCpi({"root": known["root"], "director_id": known["director_id"]}).destroy_all()
    shutil.rmtree(home, ignore_errors=True)

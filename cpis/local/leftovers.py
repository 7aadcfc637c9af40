"""Finding and removing what a director, or a killed test run, left on this host."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cpis.contract import CloudError
from cpis.local.bridges import HOST_DIRECTORY, Bridges
from cpis.local.disks import loop_devices_below
from cpis.local.processes import run
from cpis.local.state import is_alive, process_start, read_json, remove_tree, write_json

if TYPE_CHECKING:
    from cpis.local.machines import Machines

_TEST_ID = re.compile(r"test-(\d+)-(\d+)(-.*)?")


def register(root: Path, director_id: str) -> None:
    """Note on this host where a director keeps its state, so that it can be cleaned up."""
    path = _entry(director_id)
    if (read_json(path) or {}).get("root") == str(root):
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(path, {"director_id": director_id, "root": str(root)})
    except PermissionError as error:
        raise CloudError("local machines need root", fix="run the director as root") from error


def id_of_this_test_run(name: str = "") -> str:
    """Return a director id of this process: once it is gone, :func:`stale_directors` finds it."""
    pid = os.getpid()
    return f"test-{pid}-{process_start(pid)}{'-' + name if name else ''}"


def stale_directors() -> list[tuple[str, Path]]:
    """Return id and root of every test director whose process is gone."""
    stale = []
    for path in sorted((HOST_DIRECTORY / "directors").glob("*.json")):
        data = read_json(path) or {}
        match = _TEST_ID.fullmatch(str(data.get("director_id", "")))
        if match and not is_alive(int(match[1]), match[2]):
            stale.append((data["director_id"], Path(data["root"])))
    return stale


def remove_everything(root: Path, director_id: str, machines: Machines, bridges: Bridges) -> None:
    """Remove every VM, disk, bridge, rule and file of a director; goes on after a failure.

    Raises the first CloudError once everything else was tried.
    """
    failed: CloudError | None = None
    for cid in machines.all():
        try:
            with machines.lock(cid):
                machines.remove(cid)
        except CloudError as error:
            failed = failed or error
    for number in loop_devices_below(root):
        with suppress(CloudError):
            run(["losetup", "--detach", f"/dev/loop{number}"])
    bridges.remove_all()
    if failed is not None:
        raise failed
    for name in ("vms", "disks", "snapshots", "stemcells", "networks", "locks"):
        remove_tree(root / name)
    _entry(director_id).unlink(missing_ok=True)


def _entry(director_id: str) -> Path:
    name = hashlib.sha256(director_id.encode()).hexdigest()[:16]
    return HOST_DIRECTORY / "directors" / f"{name}.json"

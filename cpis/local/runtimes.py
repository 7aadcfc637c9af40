"""Choosing the runtime, when it is first needed and not before."""

from __future__ import annotations

import os
from pathlib import Path

from cpis.contract import CloudError
from cpis.local.processes import is_installed
from cpis.local.runtime import Box, Device, Runtime


class LazyRuntime:
    """The runtime of a name; ``auto`` is LXC where it is installed, else unshare."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._chosen: Runtime | None = None

    def start(self, box: Box) -> None:
        self._runtime.start(box)

    def stop(self, cid: str, directory: Path, *, clean: bool) -> None:
        self._runtime.stop(cid, directory, clean=clean)

    def init_pid(self, cid: str, directory: Path) -> int | None:
        return self._runtime.init_pid(cid, directory)

    def allow(self, cid: str, directory: Path, device: Device) -> None:
        self._runtime.allow(cid, directory, device)

    def deny(self, cid: str, directory: Path, device: Device) -> None:
        self._runtime.deny(cid, directory, device)

    @property
    def _runtime(self) -> Runtime:
        if self._chosen is None:
            self._chosen = choose_runtime(self._name)
        return self._chosen


def choose_runtime(name: str) -> Runtime:
    """Return the runtime of this name; raises CloudError naming what is missing on this host."""
    from cpis.local.lxc import LxcRuntime
    from cpis.local.unshare import UnshareRuntime

    if os.geteuid() != 0:
        raise CloudError(
            "local machines need root: bridges, overlays and loop devices are made by it",
            fix="run the director as root (sudo), or use another CPI",
        )
    if name == "lxc" or (name == "auto" and is_installed("lxc-start")):
        if not is_installed("lxc-start"):
            raise CloudError("LXC is not installed", fix="apt install lxc, or use runtime unshare")
        return LxcRuntime()
    return UnshareRuntime()

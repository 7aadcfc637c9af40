"""What a runtime does for the local CPI: it starts, stops and opens up one isolated machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cpis.contract import CloudError
from cpis.local.addresses import Card
from cpis.local.properties import VmProperties

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A block device of the host that a machine may use as ``/dev/director/<name>``."""

    name: str
    major: int
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One machine as a runtime sees it.

    ``directory`` holds ``upper`` (the machine's own layer), ``console.log`` and what the runtime
    itself writes; ``image`` is the unpacked stemcell below it.
    """

    cid: str
    hostname: str
    directory: Path
    image: Path
    cards: tuple[Card, ...]
    limits: VmProperties
    devices: tuple[Device, ...] = ()

    @property
    def console(self) -> Path:
        return self.directory / "console.log"


class Runtime(Protocol):
    """A way to run machines. Machines outlive the director's process and its session."""

    def start(self, box: Box) -> None:
        """Start a machine; returns when its first process runs. Raises CloudError."""
        ...

    def stop(self, cid: str, directory: Path, *, clean: bool) -> None:
        """Take a machine down; ``clean`` gives its processes time. Twice is no error."""
        ...

    def init_pid(self, cid: str, directory: Path) -> int | None:
        """Return the host's id of a machine's first process, or None when it does not run."""
        ...

    def allow(self, cid: str, directory: Path, device: Device) -> None:
        """Let a running machine open a device."""
        ...

    def deny(self, cid: str, directory: Path, device: Device) -> None:
        """Take :meth:`allow` back."""
        ...


def make_node(init_pid: int, device: Device) -> None:
    """Make the device node in a running machine's /dev."""
    with _device_directory(init_pid) as directory:
        with suppress(FileNotFoundError):
            os.unlink(device.name, dir_fd=directory)
        number = os.makedev(device.major, device.minor)
        os.mknod(device.name, stat.S_IFBLK | 0o660, number, dir_fd=directory)


def remove_node(init_pid: int, device: Device) -> None:
    """Remove the device node again."""
    with _device_directory(init_pid) as directory, suppress(FileNotFoundError):
        os.unlink(device.name, dir_fd=directory)


def is_mounted(init_pid: int, device: Device) -> bool:
    """Tell whether a machine has the device mounted somewhere."""
    number = f"{device.major}:{device.minor}"
    try:
        lines = Path(f"/proc/{init_pid}/mountinfo").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(line.split()[2] == number for line in lines)


@contextmanager
def _device_directory(init_pid: int) -> Iterator[int]:
    """Open /dev/director of a running machine, one step at a time and following no link.

    Root in the machine may have put links anywhere; they must not lead the host astray.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    opened: list[int] = []
    try:
        opened.append(os.open(f"/proc/{init_pid}/root", flags))
        opened.append(os.open("dev", flags | os.O_NOFOLLOW, dir_fd=opened[0]))
        with suppress(FileExistsError):
            os.mkdir("director", 0o755, dir_fd=opened[1])
        opened.append(os.open("director", flags | os.O_NOFOLLOW, dir_fd=opened[1]))
        yield opened[2]
    except OSError as error:
        raise CloudError(
            f"the machine's directory /dev/director cannot be used: {error.strerror}",
            fix="reboot or recreate the VM: something in it changed its /dev",
        ) from error
    finally:
        for handle in opened:
            os.close(handle)

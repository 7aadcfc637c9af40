"""Stemcell images: root filesystem tars, unpacked once and shared by all machines."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cpis.contract import CloudError
from cpis.local.processes import run
from cpis.local.state import filesystem_type, is_alive, process_start, remove_tree
from director.model.ids import StemcellCid

_UNPACK_TIMEOUT_S = 600
# What a machine cannot do without, and where images keep it.
_NEEDED = {"sh": ("bin/sh", "usr/bin/sh"), "sshd": ("usr/sbin/sshd", "sbin/sshd")}


def unpack_image(directory: Path, image_path: str) -> StemcellCid:
    """Unpack a root filesystem tar (plain, gzip or zstd) below ``directory``; returns its CID.

    A directory that is left half-unpacked by a killed process goes at the next call. Raises
    CloudError for an image without sh or sshd, and where overlays cannot be stacked.
    """
    if not os.path.isfile(image_path):
        raise CloudError(f"the stemcell image '{image_path}' does not exist")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if filesystem_type(directory) == "overlay":
        raise CloudError(
            f"'{directory}' lies on an overlay, where machines' own overlays cannot be made",
            fix="keep the local CPI's root on a disk (ext4, xfs, btrfs) or on tmpfs",
        )
    remove_half_unpacked(directory)
    begun = directory / f".new-{os.getpid()}-{process_start(os.getpid())}-{secrets.token_hex(4)}"
    rootfs = begun / "rootfs"
    rootfs.mkdir(mode=0o700, parents=True)
    rootfs.chmod(0o755)
    try:
        run(_unpack_command(image_path, rootfs), timeout_s=_UNPACK_TIMEOUT_S)
        _refuse_incomplete(rootfs)
        cid = StemcellCid(f"stemcell-{secrets.token_hex(8)}")
        begun.rename(directory / cid)
    except BaseException:
        remove_tree(begun)
        raise
    return cid


def remove_half_unpacked(directory: Path) -> None:
    """Remove what processes that are gone left half-unpacked."""
    for entry in directory.glob(".new-*"):
        _, pid, started, _ = entry.name.split("-")
        if not is_alive(int(pid), started):
            remove_tree(entry)


def _unpack_command(image_path: str, rootfs: Path) -> list[str]:
    # Device nodes are the machine's business: it gets a /dev of its own.
    keep = ["--numeric-owner", "--xattrs", "--xattrs-include=security.capability"]
    skip = ["--anchored", "--exclude=./dev/*", "--exclude=dev/*"]
    return ["tar", *keep, *skip, "-xpf", image_path, "-C", str(rootfs)]


def _refuse_incomplete(rootfs: Path) -> None:
    for program, places in _NEEDED.items():
        # lexists: an absolute link in the image must not be followed out of it.
        if not any(os.path.lexists(rootfs / place) for place in places):
            raise CloudError(
                f"the stemcell image holds no {program}", fix="build it with openssh-server"
            )

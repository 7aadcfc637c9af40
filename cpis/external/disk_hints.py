"""From a CPI's disk hint to where the disk is inside the VM.

BOSH hands a hint to its agent, which knows the cloud it runs on. Here it becomes candidates, the
stable names first, of which the first that exists is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cpis.contract import NotSupportedByCpi

_PATH = re.compile(r"/dev/[A-Za-z0-9_.:@+*/-]{1,400}")
_ID = re.compile(r"[A-Za-z0-9_.:@+-]{1,200}")
_LETTERS = re.compile(r"/dev/(?:sd|xvd|vd)([a-z]{1,3})")
_TELLING = 8
"""An id shorter than this may be the end of another disk's name."""

_VIRTIO_SERIAL = 20
"""A virtio disk shows only so much of its id."""


def device_hint(hint: Any, disk_cid: str) -> str:
    """Return the contract's device hint for what ``attach_disk`` answered.

    ``hint`` is text (a path, or an id), or a mapping with ``path``, ``id``, ``volume_id`` or
    ``lun``, or None (version 1 of the protocol says nothing, and a disk is looked for by its CID).
    Raises NotSupportedByCpi where nothing in it leads to a device.
    """
    found = list(dict.fromkeys(_candidates(hint, disk_cid)))
    if not found:
        said = sorted(map(str, hint)) if isinstance(hint, Mapping) else hint
        raise NotSupportedByCpi(
            f"the disk '{disk_cid}' is attached, and the CPI's hint {str(said)[:200]!r} does not "
            "lead to its device",
            fix="use a CPI that answers attach_disk with a path or the disk's id",
        )
    return " ".join(found)


def _candidates(hint: Any, disk_cid: str) -> Iterator[str]:
    if isinstance(hint, str):
        yield from _of_text(hint, disk_cid)
    elif isinstance(hint, Mapping):
        # In the order in which BOSH's agent trusts them.
        yield from _by_id(_text(hint, "id"))
        yield from _of_lun(_text(hint, "lun"))
        yield from _of_text(_text(hint, "volume_id"), "")
        yield from _of_text(_text(hint, "path"), disk_cid)
    elif hint is None:
        yield from _by_id(disk_cid)


def _of_text(text: str, disk_cid: str) -> Iterator[str]:
    paths = text.split()
    if paths and all(_is_path(path) for path in paths):
        if len(paths) == 1 and (letters := _LETTERS.fullmatch(text)):
            # The kernel picks its own letters, or none (NVMe): names by id cannot mean another.
            yield from _by_id(disk_cid)
            yield from (f"/dev/{kind}{letters[1]}" for kind in ("xvd", "vd", "sd"))
        else:
            yield from paths
    elif text.isdecimal() and len(text) <= 2:
        yield f"/dev/disk/by-path/*-scsi-0:0:{int(text)}:0"
    else:
        yield from _by_id(text)


def _by_id(text: str) -> Iterator[str]:
    if not _ID.fullmatch(text) or len(text) < _TELLING:
        return
    place = "/dev/disk/by-id"
    yield f"{place}/*{text}"
    if "-" in text:
        # Serial numbers of NVMe and SCSI disks are written without dashes.
        yield f"{place}/*{text.replace('-', '')}"
    if len(text) > _VIRTIO_SERIAL:
        yield f"{place}/virtio-{text[:_VIRTIO_SERIAL]}"


def _of_lun(text: str) -> Iterator[str]:
    if text.isdecimal() and len(text) <= 3:
        yield f"/dev/disk/azure/scsi1/lun{int(text)}"
        yield f"/dev/disk/azure/data/by-lun/{int(text)}"


def _is_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text)) and "/../" not in f"{text}/"


def _text(hint: Mapping[str, Any], key: str) -> str:
    value = hint.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""

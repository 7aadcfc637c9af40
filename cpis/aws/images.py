"""A stemcell's image as a stream of bytes: a raw disk, or BOSH's tarball around one."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cpis.contract import CloudError

_INSIDE = "root.img"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawImage:
    """A raw disk image: its size in bytes, and its bytes from the first."""

    size: int
    stream: IO[bytes]


@contextmanager
def opened_image(image_path: str) -> Iterator[RawImage]:
    """Open a raw image, or the ``root.img`` in a (gzipped) tarball, without unpacking it on disk.

    Raises CloudError for what is neither.
    """
    path = Path(image_path)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
        if packed or tarfile.is_tarfile(path):
            with tarfile.open(path, mode="r|*") as tar:
                yield _inside(tar)
        else:
            with path.open("rb") as file:
                yield RawImage(size=_of_some_size(path.stat().st_size), stream=file)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise CloudError(f"the stemcell's image cannot be read: {error}") from error


def _inside(tar: tarfile.TarFile) -> RawImage:
    for member in tar:
        if Path(member.name).name == _INSIDE and member.isreg():
            stream = tar.extractfile(member)
            if stream is not None:
                return RawImage(size=_of_some_size(member.size), stream=stream)
    raise CloudError(
        f"the stemcell's image holds no '{_INSIDE}'",
        fix="use a stemcell for AWS, or a light one: cloud_properties with 'ami'",
    )


def _of_some_size(size: int) -> int:
    if size == 0:
        raise CloudError(
            "the stemcell's image is empty, and its cloud properties name no AMI",
            fix="repack it as a light stemcell: set ami: {REGION: ami-...}",
        )
    return size

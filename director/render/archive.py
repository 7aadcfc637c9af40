"""The templates of a job, read from its tarball without trusting it."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, cast

from director.model.errors import ReleaseInvalid

_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A job's templates by their names below ``templates/``, and its monit file.

    ``monit_name`` is ``monit``, or ``monit.j2`` where the job has that instead.
    """

    templates: dict[str, bytes] = field(repr=False)
    monit: bytes = field(default=b"", repr=False)
    monit_name: str = "monit"


class _TooLarge(Exception):
    """A tarball unpacks to more than it may."""


class _Bounded:
    """A readable stream that gives no more than so many bytes, whatever is asked of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _MAX_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _TooLarge
        return data


def read_sources(archive: str, names: Collection[str]) -> Sources:
    """Return the templates ``names`` and the monit file of the tarball ``archive``.

    Nothing is written to disk; links, devices and what is not asked for are passed over. Raises
    ReleaseInvalid for a tarball that cannot be read, lacks a template, or unpacks to over 64 MB.
    """
    wanted = {f"templates/{name}" for name in names} | {"monit", "monit.j2"}
    try:
        found = _read(archive, wanted)
    except _TooLarge:
        raise ReleaseInvalid(
            f"the job tarball '{archive}' unpacks to more than {_MAX_BYTES >> 20} MB",
            fix="keep large files in packages, not among a job's templates",
        ) from None
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise ReleaseInvalid(
            f"the job tarball '{archive}' cannot be read: {error}",
            fix="upload the release again with --fix",
        ) from error
    missing = sorted(name for name in names if f"templates/{name}" not in found)
    if missing:
        raise ReleaseInvalid(
            f"the job tarball '{archive}' lacks the templates {', '.join(missing)}",
            fix="create the release again and upload it",
        )
    monit_name = "monit.j2" if "monit.j2" in found and "monit" not in found else "monit"
    return Sources(
        templates={name: found[f"templates/{name}"] for name in names},
        monit=found.get(monit_name, b""),
        monit_name=monit_name,
    )


def _read(archive: str, wanted: Collection[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with open(archive, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if zipped else raw
        bounded = cast(IO[bytes], _Bounded(stream))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for member in tar:
                name = str(PurePosixPath(member.name))
                if name in wanted and member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    found[name] = content.read()
    return found

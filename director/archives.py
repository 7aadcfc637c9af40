"""Reading tarballs from strangers: nothing leaves its directory, nothing fills the memory.

The one home of what an archive may hold; release, stemcell and job tarballs are all read with it.
"""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from director.model.errors import DirectorError

MAX_BYTES = 32 << 30
"""How much an archive may hold unpacked, unless its reader says otherwise."""
MAX_MEMBERS = 500_000
_MAX_HEADER = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry: ``kind`` is file, directory or link. ``content`` is readable until the next one.

    ``name`` is relative, with neither ``.`` nor ``..`` in it.
    """

    name: str
    kind: str
    size: int = 0
    content: BinaryIO = field(default_factory=io.BytesIO, repr=False, compare=False)

    def read(self, limit: int) -> bytes:
        """Return the content; raises ValueError if it is longer than ``limit`` bytes."""
        if self.size > limit:
            raise ValueError(f"'{self.name}' is longer than {limit} bytes")
        return self.content.read(self.size)


def read_archive(
    stream: BinaryIO,
    *,
    what: str,
    invalid: type[DirectorError],
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> Iterator[Member]:
    """Yield the members of a tar archive, gzipped or not, one pass, each checked first.

    ``stream`` must be seekable. Raises ``invalid``, naming ``what``, for a file that is no archive
    or is cut short, for an absolute name, one with ``..``, the same name twice, a device, a pipe, a
    sparse file, a link that leads out, a file below a link, or more than the given amounts.
    """
    checks = _Checks(what=what, invalid=invalid, max_bytes=max_bytes, max_members=max_members)
    try:
        gzipped = stream.read(2) == _GZIP
        stream.seek(0)
        plain: BinaryIO = gzip.GzipFile(fileobj=stream) if gzipped else stream  # type: ignore[assignment]
        guard = _BoundedReads(plain, checks.unreadable)
        with tarfile.open(fileobj=guard, mode="r:", errorlevel=2) as archive:
            while (entry := archive.next()) is not None:
                # tarfile remembers every entry it saw; a bomb of a million would fill the memory.
                archive.members.clear()  # type: ignore[attr-defined]
                member = checks.check(entry)
                if member.kind == "file":
                    found = archive.extractfile(entry) or io.BytesIO()
                    content = io.BufferedReader(_Content(found, checks.unreadable))  # type: ignore[arg-type]
                    member = Member(
                        name=member.name,
                        kind="file",
                        size=entry.size,
                        content=content,
                    )
                yield member
    except _DAMAGE as error:
        raise checks.unreadable(error) from error


class _TooLong(Exception):
    """A header wants more memory than any honest one."""


_DAMAGE = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, _TooLong)
Unreadable = Callable[[Exception], DirectorError]


class _BoundedReads(io.RawIOBase):
    """A file whose single reads are bounded: tarfile reads whole extended headers at once."""

    def __init__(self, stream: BinaryIO, unreadable: Unreadable) -> None:
        self._stream = stream
        self._unreadable = unreadable

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_HEADER * 2:
            raise _TooLong(f"a header of {size} bytes")
        try:
            return self._stream.read(size)
        except _DAMAGE as error:
            raise self._unreadable(error) from error

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class _Content(io.RawIOBase):
    """A member's content, whose reader is told in words that the archive is cut short."""

    def __init__(self, content: BinaryIO, unreadable: Unreadable) -> None:
        self._content = content
        self._unreadable = unreadable

    def readinto(self, buffer: Any) -> int:
        try:
            return self._content.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        except _DAMAGE as error:
            raise self._unreadable(error) from error

    def readable(self) -> bool:
        return True


@dataclass(slots=True, kw_only=True)
class _Checks:
    """What is remembered of the members so far."""

    what: str
    invalid: type[DirectorError]
    max_bytes: int
    max_members: int
    bytes: int = 0
    seen: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)

    def unreadable(self, error: Exception) -> DirectorError:
        return self.invalid(
            f"{self.what} is not a readable tar archive: {error}",
            fix="make it again, or transfer it again if it was cut short",
        )

    def refuse(self, entry: tarfile.TarInfo, why: str) -> DirectorError:
        shown = entry.name[:200].encode("unicode_escape").decode()
        return self.invalid(
            f"{self.what} holds '{shown}', which {why}",
            fix="do not use this archive unless you trust its origin; then make it again",
        )

    def check(self, entry: tarfile.TarInfo) -> Member:
        name = self._name(entry)
        self._count(entry, name)
        if entry.isdir():
            return Member(name=name, kind="directory")
        if entry.issym() or entry.islnk():
            self._link(entry, name)
            return Member(name=name, kind="link")
        if not entry.isreg() or entry.issparse():
            raise self.refuse(entry, "is neither a file, a directory nor a link")
        return Member(name=name, kind="file", size=entry.size)

    def _name(self, entry: tarfile.TarInfo) -> str:
        raw = entry.name
        if raw.startswith("/") or "\\" in raw or "\0" in raw or "\n" in raw:
            raise self.refuse(entry, "is not a relative path")
        parts = [part for part in raw.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.refuse(entry, "leads out of the archive")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in self.links:
                raise self.refuse(entry, "lies below a link")
        return "/".join(parts)

    def _count(self, entry: tarfile.TarInfo, name: str) -> None:
        if name in self.seen and not entry.isdir():
            raise self.refuse(entry, "is there twice")
        self.seen.add(name)
        self.bytes += max(0, entry.size)
        if self.bytes > self.max_bytes:
            raise self.refuse(entry, f"brings it over {self.max_bytes} bytes unpacked")
        if len(self.seen) > self.max_members:
            raise self.refuse(entry, f"is more than {self.max_members} entries")

    def _link(self, entry: tarfile.TarInfo, name: str) -> None:
        target = entry.linkname
        if entry.issym():
            # A package may point at what will be installed beside it, on the machine.
            if posixpath.normpath(target).startswith("/var/vcap/"):
                self.links.add(name)
                return
            target = posixpath.join(posixpath.dirname(name), target)
        landing = posixpath.normpath(target)
        if landing.startswith("/") or landing == ".." or landing.startswith("../"):
            raise self.refuse(entry, "is a link that leads out of the archive")
        if entry.issym():
            self.links.add(name)

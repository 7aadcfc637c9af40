"""Rendered jobs: the files a machine gets. Their content may hold secrets, so it never prints."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """One file below a job's directory; ``path`` is relative, without ``..``."""

    path: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedJob:
    """All files of a job for one instance. ``digest`` is the sha256 over ``monit`` and ``files``
    (names and contents), so equal digests mean equal files."""

    name: str
    digest: str
    monit: bytes = field(repr=False)
    files: tuple[RenderedFile, ...] = ()

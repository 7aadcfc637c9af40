"""Fingerprints, version 2: what decides whether a job or package is the same as another.

A digest over ``v2``, then for each file, by name: its name, the digest of its content and its mode;
then the names it depends on. The order of files on disk, times and owners do not matter.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a job or package: where it lies, and its ``name`` in the archive.

    ``exclude_mode``: hooks and licences count without their mode. ``follow``: a link counts as
    what it points at (jobs), instead of as a link (packages).
    """

    path: Path
    name: str
    exclude_mode: bool = False
    follow: bool = False

    @property
    def is_link(self) -> bool:
        """Whether the file counts as a symbolic link."""
        return not self.follow and self.path.is_symlink()


def fingerprint(
    files: Iterable[SourceFile], dependencies: Sequence[str] = (), *, sha2: bool = False
) -> str:
    """Return the fingerprint of ``files`` and the names they depend on (sha1, or sha256)."""
    chunks = ["v2"]
    for file in sorted(files, key=lambda f: f.name):
        chunks += [file.name, _content_digest(file, sha2=sha2), _mode(file)]
    if dependencies:
        chunks.append(",".join(sorted(dependencies)))
    # The result becomes a file name, so it does not say its algorithm.
    return _digest("".join(chunks).encode(), sha2=sha2).removeprefix("sha256:")


def _content_digest(file: SourceFile, *, sha2: bool) -> str:
    if file.is_link:
        return _digest(os.readlink(file.path).encode(), sha2=sha2)
    with open(file.path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256" if sha2 else "sha1").hexdigest()
    return f"sha256:{found}" if sha2 else found


def _mode(file: SourceFile) -> str:
    if file.exclude_mode:
        return ""
    if file.is_link:
        return "symlink"
    return "100755" if file.path.stat().st_mode & 0o111 else "100644"


def _digest(content: bytes, *, sha2: bool) -> str:
    if sha2:
        return "sha256:" + hashlib.sha256(content).hexdigest()
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()

"""Fetch the blobs a release names in ``config/blobs.yml``, each verified by its digest.

An entry has BOSH's ``size`` and ``sha``, and ``sources``: where to get it, tried in this order.
A source is ``file: path`` (relative to the release), ``url: http(s)://...``, or
``debian: package`` with ``file: name`` (a file of a Debian source package).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from director.model.digests import strongest, verify
from director.model.errors import DigestMismatch, DirectorError, ReleaseInvalid
from director.release.debian_source import fetch_source_file
from director.release.document import read_mapping
from director.release.download import download


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One entry of ``config/blobs.yml``; ``path`` is below ``blobs/``."""

    path: str
    digest: str
    size: int | None = None
    sources: tuple[Mapping[str, Any], ...] = ()


def fetch_blobs(
    root: Path,
    *,
    cache: Path | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Make every blob of the release in ``root`` be in ``root/blobs``, with the right content.

    What is there already is only verified; ``cache`` keeps fetched files by digest for other
    releases and clones. Raises ReleaseInvalid or DigestMismatch; other blobs stay fetched.
    """
    for blob in read_blobs(root):
        target = root / "blobs" / blob.path
        if not _is_right(target, blob):
            _bring(root, blob, target, cache, on_progress)


def read_blobs(root: Path) -> tuple[Blob, ...]:
    """Read ``config/blobs.yml``; no file means no blobs."""
    file = root / "config" / "blobs.yml"
    if not file.is_file():
        return ()
    found = []
    for path, entry in read_mapping(file.read_text(encoding="utf-8"), str(file)).items():
        if not isinstance(entry, dict) or not entry.get("sha"):
            raise ReleaseInvalid(f"blob '{path}' in '{file}' has no 'sha'")
        if str(path).startswith("/") or ".." in str(path).split("/"):
            raise ReleaseInvalid(f"blob '{path}' in '{file}' lies outside of blobs/")
        sources = entry.get("sources") or []
        if not isinstance(sources, list) or not all(isinstance(s, dict) for s in sources):
            raise ReleaseInvalid(f"'sources' of blob '{path}' in '{file}' must be a list")
        digest = str(entry["sha"])
        try:
            strongest(digest)
        except ValueError as error:
            raise ReleaseInvalid(f"blob '{path}' in '{file}': {error}") from error
        size = entry.get("size")
        found.append(
            Blob(
                path=str(path),
                digest=digest,
                size=size if isinstance(size, int) else None,
                sources=tuple(sources),
            )
        )
    return tuple(found)


def _bring(
    root: Path,
    blob: Blob,
    target: Path,
    cache: Path | None,
    on_progress: Callable[[str], None],
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    cached = cache / "-".join(strongest(blob.digest)) if cache is not None else None
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent) as scratch:
        fetched = Path(scratch) / "blob"
        if cached is not None and _is_right(cached, blob):
            shutil.copyfile(cached, fetched)
        else:
            on_progress(f"fetching blob {blob.path}")
            _fetch(root, blob, fetched, on_progress)
            if cached is not None:
                cached.parent.mkdir(parents=True, exist_ok=True)
                beside = cached.with_name(f".{cached.name}-{os.getpid()}")
                shutil.copyfile(fetched, beside)
                os.replace(beside, cached)
        fetched.chmod(0o644)
        os.replace(fetched, target)


def _fetch(root: Path, blob: Blob, target: Path, on_progress: Callable[[str], None]) -> None:
    """Try the sources in their order; the error says why each of them failed."""
    failures: list[DirectorError] = []
    for source in blob.sources:
        try:
            _fetch_from(root, source, target, on_progress)
            with target.open("rb") as stream:
                verify(stream, blob.digest, what=f"blob '{blob.path}'")
        except (ReleaseInvalid, DigestMismatch) as error:
            target.unlink(missing_ok=True)
            failures.append(error)
        else:
            return
    if len(failures) == 1:
        raise failures[0]
    reasons = "".join(f"\n    {failure.what}" for failure in failures) or " it names no sources"
    raise ReleaseInvalid(
        f"blob '{blob.path}' cannot be fetched:{reasons}",
        fix=f"put the file at blobs/{blob.path}, or correct its 'sources' in config/blobs.yml",
    )


def _fetch_from(
    root: Path, source: Mapping[str, Any], target: Path, on_progress: Callable[[str], None]
) -> None:
    if "debian" in source:
        with tempfile.TemporaryDirectory(prefix="apt-") as apt:
            fetch_source_file(
                str(source["debian"]),
                str(source.get("file", "")),
                target,
                Path(apt),
                on_progress=on_progress,
            )
    elif "url" in source:
        download(str(source["url"]), target, invalid=ReleaseInvalid)
    elif "file" in source:
        origin = root / str(source["file"])
        try:
            shutil.copyfile(origin, target)
        except OSError as error:
            raise ReleaseInvalid(f"'{origin}' cannot be read: {error.strerror}") from error
    else:
        raise ReleaseInvalid(
            f"a source must have 'file', 'url' or 'debian', not {', '.join(map(str, source))}"
        )


def _is_right(path: Path, blob: Blob) -> bool:
    if not path.is_file() or (blob.size is not None and path.stat().st_size != blob.size):
        return False
    try:
        with path.open("rb") as stream:
            verify(stream, blob.digest, what=blob.path)
    except DigestMismatch:
        return False
    return True

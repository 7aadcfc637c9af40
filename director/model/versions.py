"""The order of release and stemcell versions, as BOSH orders them.

``release[-pre][+post]``, each split at dots: numbers order as numbers and before words. A
pre-release comes before its release, a post-release (``1+dev.2``) after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_VERSION = re.compile(
    r"(?P<release>[0-9A-Za-z_.]+)(?:-(?P<pre>[0-9A-Za-z_.-]+))?(?:\+(?P<post>[0-9A-Za-z_.-]+))?"
)
_OLD_DEV = re.compile(r"(?P<release>[0-9A-Za-z_.]*?)\.?(?P<number>[0-9]+)-dev")

VersionKey = tuple[object, ...]


def version_key(text: str) -> VersionKey:
    """Return what ``text`` sorts by; equal for what BOSH calls equal (``1`` and ``1.0``).

    Text that is no version comes before all versions.
    """
    match = _VERSION.fullmatch(_modern(text))
    if match is None:
        return (0, text)
    pre, post = match["pre"], match["post"]
    return (1, _parts(match["release"]), pre is None, _parts(pre or ""), _parts(post or ""))


def newest(versions: Iterable[str]) -> str | None:
    """Return the highest of ``versions``, or None of none."""
    return max(versions, key=version_key, default=None)


def in_line(version: str, line: str) -> bool:
    """Whether ``version`` belongs to ``line``: 3586.100 and 3586 do to 3586, 35860.1 does not."""
    return version == line or version.startswith((f"{line}.", f"{line}-", f"{line}+"))


def pick(wanted: str, versions: Iterable[str]) -> str | None:
    """Return the version that ``wanted`` means: itself, ``latest`` of all, or ``N.latest``."""
    known = tuple(versions)
    if wanted == "latest":
        return newest(known)
    if wanted.endswith(".latest"):
        return newest(v for v in known if in_line(v, wanted.removesuffix(".latest")))
    return wanted if wanted in known else None


def _modern(text: str) -> str:
    """Return today's notation of a version: the old ``1.2-dev`` is ``1+dev.2``."""
    match = _OLD_DEV.fullmatch(text)
    return f"{match['release'] or '0'}+dev.{match['number']}" if match else text


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return sortable parts; a number too long to be one orders as a word."""
    parts = [_part(part) for part in (text.split(".") if text else ())]
    while len(parts) > 1 and parts[-1] == (0, 0, ""):
        parts.pop()
    return tuple(parts)


def _part(text: str) -> tuple[int, int, str]:
    is_number = text.isascii() and text.isdigit() and len(text) < 100
    return (0, int(text), "") if is_number else (1, 0, text)

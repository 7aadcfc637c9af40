"""Which of a machine's log files are fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping

from director.model.errors import BadRequest

LOG_DIRECTORIES: Mapping[str, tuple[str, ...]] = {
    "job": ("/var/vcap/sys/log",),
    "agent": ("/var/vcap/monit/monit.log", "/var/vcap/bosh/boot.log"),
    "system": ("/var/log",),
}


def log_base(kinds: tuple[str, ...]) -> str:
    """Return the directory names in the tarball are relative to; raises BadRequest."""
    for kind in kinds:
        if kind not in LOG_DIRECTORIES:
            raise BadRequest(
                f"there are no '{kind}' logs", fix=f"use {', '.join(sorted(LOG_DIRECTORIES))}"
            )
    return "/var/vcap/sys/log" if kinds == ("job",) else "/"


def choose_logs(listed: bytes, base: str, filters: tuple[str, ...]) -> bytes:
    """Return the files of ``listed`` (each ended by a zero byte) that ``filters`` name.

    Names are made relative to ``base``. In a filter ``*`` stays within a directory, ``**`` does
    not, ``?`` is one character.
    """
    prefix = base.rstrip("/").encode() + b"/"
    names = []
    for path in listed.split(b"\0"):
        clean = re.sub(rb"/{2,}", b"/", path)
        if clean.startswith(prefix):
            names.append(clean.removeprefix(prefix))
    if filters:
        patterns = [_pattern(f) for f in filters]
        names = [n for n in names if any(p.fullmatch(n) for p in patterns)]
    return b"".join(b"./" + name + b"\0" for name in sorted(names))


def _pattern(glob: str) -> re.Pattern[bytes]:
    # Runs of stars become one, so that no filter makes matching take long.
    tokens = re.findall(r"\*\*+/?|\*|\?|[^*?]+", re.sub(r"(\*\*/)+", "**/", glob[:500]))
    written = {"*": "[^/]*", "?": "[^/]", "**/": "(?:.*/)?", "**": ".*"}
    text = "".join(written.get(re.sub(r"\*{3,}", "**", t)) or re.escape(t) for t in tokens)
    return re.compile(text.encode(), re.DOTALL)

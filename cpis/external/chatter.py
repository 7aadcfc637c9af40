"""What an executable says beside its answer: logged line by line, bounded, without secrets."""

from __future__ import annotations

import logging
import re
from collections import deque

from cpis.rpc.redaction import hide

_log = logging.getLogger("cpis.external")

_LONGEST_LINE = 4_000
_ENOUGH = 1 << 18
_MOST = 1 << 20
_KEPT = 12
_SHORT = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Chatter:
    """Takes standard error as it comes; logs it and keeps the last lines for an error's text."""

    def __init__(self, request_id: str, secrets: frozenset[str]) -> None:
        self._request_id = request_id
        self._secrets = secrets
        self._rest = b""
        self._logged = 0
        self._too_long = False
        self._last: deque[bytes] = deque(maxlen=_KEPT)
        self._seen: set[str] = set()

    def hear(self, data: bytes) -> None:
        """Take the next bytes of standard error."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not self._too_long:
                self._say(line)
            self._too_long = False
        # Of a line without end only the beginning is told: a secret there is whole by now.
        if len(self._rest) > _ENOUGH:
            if not self._too_long:
                self._say(self._rest)
            self._too_long, self._rest = True, b""

    def end(self, log: str = "") -> None:
        """Standard error has ended; ``log`` is the answer's own, of which only news is told."""
        if self._rest and not self._too_long:
            self._say(self._rest)
        self._rest = b""
        for line in hide(log, self._secrets)[-_MOST:].split("\n"):
            if self._clean(data := line.encode(errors="replace")) not in self._seen:
                self._say(data)

    def last_words(self) -> str:
        """Return the last lines as the end of an error's text; empty if nothing was said."""
        self.end()
        lines = [line[:_SHORT] for data in self._last if (line := self._clean(data))]
        return "".join(("; it said last:", *(f"\n    {line}" for line in lines))) if lines else ""

    def _say(self, data: bytes) -> None:
        if not data.strip():
            return
        self._last.append(data)
        if self._logged > _MOST:
            return
        line = self._clean(data)
        self._logged += len(line)
        self._seen.add(line)
        _log.debug("%s: %s", self._request_id, line)
        if self._logged > _MOST:
            _log.debug("%s: what it says from here on is not logged", self._request_id)

    def _clean(self, data: bytes) -> str:
        # Hidden first and cut then: no half of a secret is shown.
        shown = hide(data.decode(errors="replace"), self._secrets)[:_LONGEST_LINE]
        return _CONTROL.sub(" ", shown).rstrip()

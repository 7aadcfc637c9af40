"""What the failure of an OpenStack request means: throttled, unknown, or refused, and why."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Meaning, Verdict

_QUOTA = re.compile(
    r"quota|LimitExceeded\b|Maximum number of .{1,60} (allowed|exceeded)|limit exceeded", re.I
)
_LONGEST_WAIT_S = 60.0


class Refused(Exception):
    """An answer other than 2xx, as it came; ``headers`` have lower-case names."""

    def __init__(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.headers = headers


class Unsent(Exception):
    """No token was to be had, so the request was never sent; the cause says why."""


class ApiError(CloudError):
    """An OpenStack service said no, or nothing.

    ``http_status`` is 0 where no answer came; ``name`` is the service's name of the error;
    ``quota`` tells that a limit of the project is reached; ``unanswered`` that the service may
    have acted.
    """

    def __init__(
        self,
        what: str,
        *,
        http_status: int = 0,
        name: str = "",
        quota: bool = False,
        unanswered: bool = False,
        fix: str | None = None,
    ) -> None:
        super().__init__(what, fix=fix)
        self.http_status = http_status
        self.name = name
        self.quota = quota
        self.unanswered = unanswered


def judge(action: str, caught: Exception) -> Verdict:
    """Return what the failure of ``action`` ("create the server 'x'") means.

    Raises ``caught`` where it is no failure of a request.
    """
    if isinstance(caught, Unsent):
        cause = caught.__cause__
        verdict = judge(action, cause) if isinstance(cause, Exception) else None
        if verdict is None:
            raise caught
        final = verdict.meaning is Meaning.FINAL
        return Verdict(
            meaning=Meaning.FINAL if final else Meaning.REFUSED_FOR_NOW,
            error=verdict.error,
            wait_s=verdict.wait_s,
        )
    if isinstance(caught, Refused):
        return _of_answer(action, caught)
    return _of_silence(action, caught)


def _of_answer(action: str, answer: Refused) -> Verdict:
    name, message = _told(answer.body)
    status, wait_s = answer.status, _wait_s(answer.headers)
    quota = status in (400, 403, 409, 413) and bool(_QUOTA.search(f"{name} {message}"))
    meaning = Meaning.FINAL
    if quota:
        what, fix = f"a quota of the project does not let us {action}", "raise it, or free some"
    elif status in (413, 429, 503):
        meaning = Meaning.REFUSED_FOR_NOW
        what, fix = f"OpenStack is too busy to {action}", "try again later"
    elif status >= 500 or status == 408:
        meaning = Meaning.UNKNOWN
        what, fix = f"OpenStack failed to {action}", None
    elif status == 401:
        what, fix = f"OpenStack does not accept our token to {action}", "check the credentials"
    elif status == 403:
        what = f"OpenStack does not let us {action}"
        fix = "give the user the role that this needs"
    elif status == 404:
        what, fix = f"OpenStack cannot {action}: there is no such thing", None
    else:
        what, fix = f"OpenStack refuses to {action}", None
    said = f": {message}" if message else ""
    error = ApiError(
        f"{what}{said} (HTTP {status})",
        http_status=status,
        name=name,
        quota=quota,
        unanswered=meaning is Meaning.UNKNOWN,
        fix=fix,
    )
    return Verdict(meaning=meaning, error=error, wait_s=wait_s)


def _of_silence(action: str, caught: Exception) -> Verdict:
    import requests
    from libcloud.common.types import LibcloudError, MalformedResponseError

    meaning, fix = Meaning.UNKNOWN, None
    if isinstance(caught, requests.exceptions.SSLError):
        meaning = Meaning.FINAL
        fix = "check 'connection_options': 'ca_cert' must hold the CA of the cloud's certificates"
    elif isinstance(caught, requests.exceptions.ConnectionError):
        text = repr(caught)
        if "NameResolutionError" in text:
            meaning, fix = Meaning.FINAL, "check the host name in 'auth_url' and in the catalog"
        elif "NewConnectionError" in text or "ConnectTimeout" in text:
            meaning, fix = (
                Meaning.REFUSED_FOR_NOW,
                "check 'auth_url', and that the cloud can be reached from here",
            )
    elif isinstance(caught, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)):
        meaning = Meaning.FINAL
    elif not isinstance(
        caught,
        (requests.exceptions.RequestException, MalformedResponseError, LibcloudError, OSError),
    ):
        raise caught
    # The text of a malformed answer or of a broken connection can hold anything: its kind is told.
    error = ApiError(
        f"OpenStack gave no answer when asked to {action}: {type(caught).__name__}",
        unanswered=meaning is Meaning.UNKNOWN,
        fix=fix,
    )
    return Verdict(meaning=meaning, error=error)


def _wait_s(headers: Mapping[str, str]) -> float:
    """Return how long the service asks to be left alone; it may also say it as a date."""
    given = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,6}(\.\d+)?", given):
        return min(float(given), _LONGEST_WAIT_S)
    if given:
        import email.utils
        import time

        try:
            until = email.utils.parsedate_to_datetime(given).timestamp()
        except ValueError:
            return 0.0
        return max(0.0, min(until - time.time(), _LONGEST_WAIT_S))
    return 0.0


def _told(body: str) -> tuple[str, str]:
    """Return the name and the message of an error; each service has a form of its own."""
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if isinstance(data, dict):
        for name, message in _messages(data):
            return name, _one_line(message)
        return "", _one_line(body)
    without_head = re.sub(r"(?is)<head\b.*?</head>", " ", body)
    return "", _one_line(without_head)


def _messages(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            text = value.get("message") or value.get("detail") or value.get("title")
            if isinstance(text, str):
                yield str(value.get("type") or key), text
    for key in ("message", "faultstring", "NeutronError"):
        if isinstance(data.get(key), str):
            yield str(data.get("faultcode") or ""), str(data[key])


def _one_line(text: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]{0,200}>", " ", text))
    return " ".join(plain.split())[:400].rstrip(". ")

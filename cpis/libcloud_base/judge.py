"""What libcloud's own errors mean, so that the judge of one cloud adds only that cloud's codes.

libcloud raises whatever its HTTP library, its parser and its drivers raise: this module is the one
place that knows them. An error's text never holds a URL, which on some clouds carries signatures
and user data.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Meaning, Verdict

_LONGEST_TEXT = 400

_UNCERTAIN = (408, 500, 502, 503, 504)
"""HTTP statuses after which the cloud may have acted all the same."""


class NotThere(CloudError):
    """The cloud knows no such thing: HTTP 404 or what a cloud says instead."""


class TakenAlready(CloudError):
    """There is such a thing already: HTTP 409 or what a cloud says instead."""


class Uncertain(CloudError):
    """Nobody knows whether the cloud acted: the answer was lost, or a 5xx."""


def judge(action: str, error: Exception) -> Verdict:
    """Return what an error of libcloud means; raises the error itself where it is none of them.

    HTTP 404 becomes :class:`NotThere`. 409 stays a refusal without a meaning of its own, because
    clouds say it of names, states and quotas alike.
    """
    status = status_of(error)
    wait_s = retry_after_s(error)
    text = f"{action}: {text_of(error)}"
    if status is None:
        return _without_status(action, error, text)
    if status == 429 or (status in (413, 503) and wait_s is not None):
        return Verdict(
            meaning=Meaning.REFUSED_FOR_NOW, error=CloudError(text), wait_s=wait_s or 0.0
        )
    if status in _UNCERTAIN:
        return Verdict(meaning=Meaning.UNKNOWN, error=Uncertain(text))
    if status == 404:
        return final(NotThere(text))
    if status == 401:
        return final(CloudError(text, fix="check the CPI's credentials, and this host's clock"))
    if status == 403:
        return final(CloudError(text, fix="give the CPI's account the permission it lacks"))
    return final(CloudError(text))


def final(error: CloudError) -> Verdict:
    """Return the verdict that the cloud said no."""
    return Verdict(meaning=Meaning.FINAL, error=error)


def status_of(error: Exception) -> int | None:
    """Return the HTTP status an error of libcloud came with; None where there was no answer."""
    for name in ("http_code", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
    return None


def text_of(error: Exception) -> str:
    """Return what the cloud said, without libcloud's decoration, cut to a readable length."""
    said: object = getattr(error, "value", None) or getattr(error, "message", None) or str(error)
    if isinstance(said, dict):
        said = said.get("message") or json.dumps(said, default=str)
    text = " ".join(str(said).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 3] + "..."


def retry_after_s(error: Exception) -> float | None:
    """Return how long the cloud asks to wait (Retry-After), or None where it does not say."""
    given = getattr(error, "retry_after", None)
    if not given:
        headers = getattr(error, "headers", None)
        given = headers.get("retry-after") if isinstance(headers, dict) else None
    try:
        wait_s = float(given) if given else None
    except (TypeError, ValueError):
        return None
    return wait_s if wait_s is not None and 0 <= wait_s < float("inf") else None


def _without_status(action: str, error: Exception, text: str) -> Verdict:
    """Judge what is no answer of HTTP: a connection that failed, or an answer without sense."""
    from libcloud.common.types import LibcloudError, MalformedResponseError
    from requests.exceptions import RequestException

    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        what = f"{action}: the certificate of the cloud's API was not accepted"
        return final(CloudError(what, fix="name the CA's certificate in the CPI's properties"))
    if any(getattr(cause, "errno", None) == socket.EAI_NONAME for cause in causes):
        what = f"{action}: the name of the cloud's API is not known ({_kind(causes)})"
        return final(CloudError(what, fix="check the CPI's endpoint"))
    if any(_never_connected(cause) for cause in causes):
        what = f"{action}: the cloud's API cannot be reached ({_kind(causes)})"
        return Verdict(
            meaning=Meaning.REFUSED_FOR_NOW,
            error=CloudError(what, fix="check the CPI's endpoint, and that this host reaches it"),
        )
    broken = (RequestException, OSError, http.client.HTTPException)
    if isinstance(error, broken) or any(isinstance(cause, TimeoutError) for cause in causes):
        what = f"{action}: the connection to the cloud's API failed ({_kind(causes)})"
        return Verdict(meaning=Meaning.UNKNOWN, error=Uncertain(what))
    if isinstance(error, MalformedResponseError | json.JSONDecodeError):
        what = f"{action}: the cloud's API gave an answer that cannot be read"
        return Verdict(meaning=Meaning.UNKNOWN, error=Uncertain(what))
    if isinstance(error, LibcloudError):
        return final(CloudError(text))
    raise error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of: requests wraps urllib3's, and that the system's."""
    seen: list[BaseException] = []
    found: list[BaseException | None] = [error]
    while found:
        one = found.pop(0)
        if one is None or one in seen:
            continue
        seen.append(one)
        yield one
        inner = [getattr(one, "reason", None), *one.args]
        found += [one.__cause__, one.__context__]
        found += [value for value in inner if isinstance(value, BaseException)]


def _never_connected(error: BaseException) -> bool:
    from urllib3.exceptions import NewConnectionError

    return isinstance(error, ConnectionRefusedError | socket.gaierror | NewConnectionError) or (
        type(error).__name__ == "ConnectTimeout"
    )


def _kind(causes: tuple[BaseException, ...]) -> str:
    """Return the innermost cause as a name and the system's words; no URL."""
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
    return type(causes[-1]).__name__

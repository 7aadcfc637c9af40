"""What libcloud's errors mean, and that none shows a URL."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest
import requests
import urllib3.exceptions as urllib3
from libcloud.common.exceptions import BaseHTTPError, exception_from_message
from libcloud.common.types import (
    InvalidCredsError,
    LibcloudError,
    MalformedResponseError,
    ProviderError,
    ServiceUnavailableError,
)

from cpis.libcloud_base.calls import Meaning, Verdict
from cpis.libcloud_base.judge import NotThere, Uncertain, judge

URL = "/client/api?apiKey=key&signature=secret&userdata=secret"
POOL: Any = None


def http(code: int, **headers: str) -> Exception:
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return exception_from_message(code, "what the cloud said", given)


def pooled(reason: Exception) -> Exception:
    return requests.exceptions.ConnectionError(urllib3.MaxRetryError(POOL, URL, reason))


REFUSED = pooled(urllib3.NewConnectionError(POOL, "[Errno 111] Connection refused"))
RESET = requests.exceptions.ConnectionError(
    urllib3.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer"))
)


def unresolved(errno: int) -> Exception:
    cause = socket.gaierror(errno, "what the resolver said")
    error = urllib3.NameResolutionError("cloud", POOL, cause)
    error.__cause__ = cause
    return pooled(error)


NO_NAME = unresolved(socket.EAI_NONAME)
DNS_DOWN = unresolved(socket.EAI_AGAIN)
BAD_CERTIFICATE = requests.exceptions.SSLError(
    urllib3.MaxRetryError(POOL, URL, urllib3.SSLError(ssl.SSLCertVerificationError(1, "self")))
)


@pytest.mark.parametrize(
    ("error", "meaning", "wait_s"),
    [
        pytest.param(http(429), Meaning.REFUSED_FOR_NOW, 0, id="429"),
        pytest.param(http(429, retry_after="7"), Meaning.REFUSED_FOR_NOW, 7, id="429 Retry-After"),
        pytest.param(http(413, retry_after="3"), Meaning.REFUSED_FOR_NOW, 3, id="413 Retry-After"),
        pytest.param(http(413), Meaning.FINAL, 0, id="413 is a quota"),
        pytest.param(http(503, retry_after="2"), Meaning.REFUSED_FOR_NOW, 2, id="503 Retry-After"),
        pytest.param(http(503), Meaning.UNKNOWN, 0, id="503"),
        pytest.param(http(500), Meaning.UNKNOWN, 0, id="500"),
        pytest.param(http(504), Meaning.UNKNOWN, 0, id="504"),
        pytest.param(http(400), Meaning.FINAL, 0, id="400"),
        pytest.param(http(404), Meaning.FINAL, 0, id="404"),
        pytest.param(http(409), Meaning.FINAL, 0, id="409"),
        pytest.param(BaseHTTPError("429", "text"), Meaning.REFUSED_FOR_NOW, 0, id="as text"),
        pytest.param(InvalidCredsError(), Meaning.FINAL, 0, id="credentials"),
        pytest.param(ServiceUnavailableError(), Meaning.UNKNOWN, 0, id="unavailable"),
        pytest.param(ProviderError("no", http_code=404), Meaning.FINAL, 0, id="provider"),
        pytest.param(MalformedResponseError("x", body="<"), Meaning.UNKNOWN, 0, id="malformed"),
        pytest.param(json.JSONDecodeError("x", "<", 0), Meaning.UNKNOWN, 0, id="no JSON"),
        pytest.param(LibcloudError("cannot do that"), Meaning.FINAL, 0, id="libcloud"),
        pytest.param(REFUSED, Meaning.REFUSED_FOR_NOW, 0, id="connection refused"),
        pytest.param(RESET, Meaning.UNKNOWN, 0, id="connection reset"),
        pytest.param(requests.exceptions.ReadTimeout(URL), Meaning.UNKNOWN, 0, id="read timeout"),
        pytest.param(
            requests.exceptions.ConnectTimeout(URL), Meaning.REFUSED_FOR_NOW, 0, id="no connection"
        ),
        pytest.param(TimeoutError("timed out"), Meaning.UNKNOWN, 0, id="socket timeout"),
        pytest.param(NO_NAME, Meaning.FINAL, 0, id="no such host"),
        pytest.param(DNS_DOWN, Meaning.REFUSED_FOR_NOW, 0, id="DNS is down"),
        pytest.param(BAD_CERTIFICATE, Meaning.FINAL, 0, id="certificate"),
    ],
)
def test_meanings(error: Exception, meaning: Meaning, wait_s: float) -> None:
    verdict = judge("reading", error)
    assert (verdict.meaning, verdict.wait_s) == (meaning, wait_s)
    assert isinstance(verdict.error, Uncertain) is (meaning is Meaning.UNKNOWN)
    assert verdict.error.what.startswith("reading: ")
    assert "secret" not in f"{verdict.error.what} {verdict.error.fix}"


def verdict_of(error: Exception) -> Verdict:
    return judge("reading", error)


def test_404_says_that_it_is_not_there() -> None:
    assert isinstance(verdict_of(http(404)).error, NotThere)


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (http(401), "credentials"),
        (http(403), "permission"),
        (REFUSED, "endpoint"),
        (NO_NAME, "endpoint"),
        (BAD_CERTIFICATE, "certificate"),
    ],
)
def test_fixes(error: Exception, fix: str) -> None:
    assert fix in (verdict_of(error).error.fix or "")


def test_what_google_says_is_read_and_long_texts_are_cut() -> None:
    said = ProviderError({"message": "no\n such zone"}, http_code=400)  # type: ignore[arg-type]
    assert verdict_of(said).error.what == "reading: no such zone"
    assert len(verdict_of(ProviderError("x" * 5000, http_code=400)).error.what) < 500


def test_a_retry_after_without_sense_is_none() -> None:
    assert verdict_of(BaseHTTPError(503, "x", {"retry-after": "soon"})).meaning is Meaning.UNKNOWN


def test_what_is_no_error_of_libcloud_is_raised() -> None:
    with pytest.raises(KeyError):
        judge("reading", KeyError("a bug of ours"))

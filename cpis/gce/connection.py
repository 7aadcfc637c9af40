"""A connection to Compute Engine for each thread, all with one access token."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cpis.contract import CloudError

ENDPOINT = "https://compute.googleapis.com"
_SCOPES = ["https://www.googleapis.com/auth/compute"]
_MARGIN_S = 120.0
_REQUEST_TIMEOUT_S = 60


class Tokens:
    """The access token, fetched when it is needed first and anew before it expires.

    It stands in for libcloud's credential, which would write tokens to a file in the home
    directory and fetch one for each thread.
    """

    def __init__(
        self,
        fetch: Callable[[], Mapping[str, Any]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = float("-inf")

    @property
    def access_token(self) -> str:
        with self._lock:
            if self._clock() >= self._good_until:
                answer = self._fetch()
                lasts_s = float(answer.get("expires_in", 0))
                self._token = str(answer["access_token"])
                self._good_until = self._clock() + lasts_s - _MARGIN_S
            return self._token


def token_source(
    json_key: str | Mapping[str, Any] | None, *, endpoint: str | None = None
) -> Callable[[], Mapping[str, Any]]:
    """Return what fetches a token: for a service account's key, or of the VM this runs on.

    ``endpoint`` replaces Google's authentication service.
    """
    key = _key(json_key)

    def fetch() -> Mapping[str, Any]:
        from libcloud.common import google

        auth: Any = google
        if key is None:
            return dict(auth.GoogleGCEServiceAcctAuthConnection("", "", _SCOPES).get_new_token())
        account = auth.GoogleServiceAcctAuthConnection(key["client_email"], dict(key), _SCOPES)
        if endpoint is not None:
            _point(account, endpoint)
        return dict(account.get_new_token())

    return fetch


def make_connection(project: str, endpoint: str, tokens: Tokens) -> Any:
    """Return a new libcloud connection to the project, for one thread."""
    from libcloud.common import base
    from libcloud.compute.drivers.gce import API_VERSION, GCEConnection

    libcloud: Any = base
    connection: Any = GCEConnection.__new__(GCEConnection)
    # GCEConnection's own would fetch a token for every thread, and write it to a file.
    libcloud.ConnectionUserAndKey.__init__(connection, "", "", timeout=_REQUEST_TIMEOUT_S)
    connection.request_path = f"/compute/{API_VERSION}/projects/{project}"
    connection.gce_params = None
    connection.oauth2_credential = tokens
    _point(connection, endpoint)
    return connection


def _point(connection: Any, endpoint: str) -> None:
    """Let a libcloud connection go to another host."""
    parts = urlsplit(endpoint)
    connection.secure = parts.scheme == "https"
    connection.host = parts.hostname
    connection.port = parts.port or (443 if connection.secure else 80)
    connection.connect()


def _key(json_key: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if json_key is None:
        return None
    try:
        key = json.loads(json_key) if isinstance(json_key, str) else json_key
    except ValueError:
        key = None
    if not isinstance(key, Mapping) or not {"client_email", "private_key"} <= set(key):
        raise CloudError(
            "the CPI's 'json_key' is no service account key",
            fix="paste the JSON that Google gave when the key was made, with its client_email and "
            "private_key",
        )
    return key

"""A director made of a function: what would go over a socket is a request, what comes an answer."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPConnection, HTTPResponse
from typing import cast

import httpx

from director.client.http import Http

Handler = Callable[[httpx.Request], httpx.Response]


def answering(handler: Handler) -> Http:
    """Return a connection to a director that answers as ``handler`` does."""
    return Http(_Answering(handler), name="fake")


class _Answering(HTTPConnection):
    def __init__(self, handler: Handler) -> None:
        super().__init__("director")
        self._handler = handler

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> None:
        content = body if body is None or isinstance(body, bytes) else b"".join(body)
        asked = httpx.Request(method, f"http://director{url}", headers=headers, content=content)
        self._method, self._answer = method, self._handler(asked)

    def getresponse(self) -> HTTPResponse:
        given = self._answer
        lines = [f"HTTP/1.1 {given.status_code} {given.reason_phrase}"]
        lines += [f"{name}: {value}" for name, value in given.headers.items()]
        raw = "\r\n".join([*lines, "", ""]).encode() + given.content
        response = HTTPResponse(cast(socket.socket, _Received(raw)), method=self._method)
        response.begin()
        return response


class _Received:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)

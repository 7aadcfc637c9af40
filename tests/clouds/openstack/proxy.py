"""A proxy in front of all services that counts calls and, when told so, lets them go wrong.

One port serves all: the first part of a path is the service's type, as in the catalog.
"""

from __future__ import annotations

import http.client
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clouds.openstack.layout import HOST, PREFIXES, Layout

_BUSY = {
    429: b'{"overLimit": {"code": 429, "message": "This request was rate-limited."}}',
    413: b'{"overLimit": {"code": 413, "message": "This request was rate-limited."}}',
    503: b"<html><body><h1>503 Service Unavailable</h1>No server is available.</body></html>",
}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}|[0-9a-f]{32}")


@dataclass(kw_only=True)
class Fault:
    """What goes wrong: requests whose ``METHOD /type/path`` matches ``calls``, ``times`` of them.

    ``kind``: ``drop`` lets the service act and closes the connection without a word; ``cut`` closes
    it before the service acts; a number is the status answered instead of asking the service.
    """

    calls: str
    kind: str | int
    times: int = 1
    body: bytes = b"{}"
    struck: int = 0


@dataclass(kw_only=True)
class Front:
    """The proxy's port, its log, and its faults. ``share`` of all calls are refused as busy."""

    port: int = 0
    share: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    refused: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    targets: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Forget faults and log."""
        with self._lock:
            self.share, self.refused = 0.0, 0
            self.faults.clear()
            self.log.clear()

    def counted(self) -> Counter[str]:
        """Return how often each call was made, with ids in paths written as ``ID``."""
        with self._lock:
            return Counter(self.log)

    def _plan(self, call: str) -> Fault | None:
        with self._lock:
            self.log.append(_ID.sub("ID", call.partition("?")[0]))
            for fault in self.faults:
                if fault.struck < fault.times and re.search(fault.calls, call):
                    fault.struck += 1
                    return fault
            if self.chance.random() < self.share:
                self.refused += 1
                status = self.chance.choice(tuple(_BUSY))
                return Fault(calls="", kind=status, body=_BUSY[status])
        return None


@contextmanager
def front() -> Iterator[Front]:
    """Yield a proxy; give it its targets with :func:`aim` once the services listen."""
    state = Front()

    class Handler(_Handler):
        front = state

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def aim(state: Front, layout: Layout) -> None:
    """Tell the proxy where the services of a cloud listen."""
    state.targets = {kind: layout.ports[service] for kind, (service, _) in PREFIXES.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    front: Front
    # Without it each small answer waits for the client's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        kind, _, rest = self.path.lstrip("/").partition("/")
        fault = self.front._plan(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if fault is not None and isinstance(fault.kind, int):
            self._answer(
                fault.kind, [("Retry-After", "0"), ("Content-Type", "text/html")], fault.body
            )
            return
        if fault is not None and fault.kind == "cut":
            self.close_connection = True
            return
        answer = self._forward(self.front.targets[kind], "/" + rest, body)
        if fault is not None:
            self.close_connection = True
            return
        self._answer(*answer)

    def _forward(
        self, port: int, path: str, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {
            key: value
            for key, value in self.headers.items()
            if key.lower() not in ("host", "connection", "accept-encoding")
        }
        connection = http.client.HTTPConnection(HOST, port, timeout=120)
        try:
            connection.request(self.command, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for key, value in headers:
            if key.lower() not in ("connection", "content-length", "transfer-encoding", "date"):
                self.send_header(key, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """The log is :attr:`Front.log`."""

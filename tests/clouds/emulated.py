"""A cloud's HTTP API on loopback, with the faults that clouds have: throttling and lost answers."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

DELAY_S = 0.02
"""How long an asynchronous operation takes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """What an emulator raises to answer with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


class Emulated:
    """A context manager: serves while it is open. Subclasses answer one request at a time."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled_share = 0.0
        self.chance = random.Random(7)
        self._losing: list[str] = []
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # -- faults ---------------------------------------------------------------------------------

    def lose_answers(self, action: str, *, times: int = 1) -> None:
        """Let the next requests of this action be done and their connection break."""
        self._losing += [action] * times

    # -- for subclasses -------------------------------------------------------------------------

    @abstractmethod
    def action_of(self, request: Request) -> str:
        """Return what a request is called in ``calls`` and ``lose_answers``."""

    @abstractmethod
    def throttled(self) -> Answer:
        """Return how this cloud says that there were too many requests."""

    @abstractmethod
    def handle(self, request: Request) -> Answer:
        """Do what is asked; raises Refused."""

    def later(self, finish: Callable[[], None]) -> None:
        """Let something happen when an operation's time is over."""
        self._due.append((time.monotonic() + DELAY_S, finish))

    def answer(self, request: Request) -> Answer | None:
        """Return the answer, or None where it is lost."""
        action = self.action_of(request)
        with self._lock:
            now = time.monotonic()
            ripe = [one for one in self._due if one[0] <= now]
            self._due = [one for one in self._due if one[0] > now]
            for _, finish in ripe:
                finish()
            self.calls[action] += 1
            if self.chance.random() < self.throttled_share:
                self.calls["throttled"] += 1
                return self.throttled()
            try:
                answer = self.handle(request)
            except Refused as refused:
                answer = refused.answer
            if action in self._losing:
                self._losing.remove(action)
                return None
            return answer


def _handler(cloud: Emulated) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # An answer is sent at once, not when the client has acknowledged its head.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            answer = cloud.answer(
                Request(
                    method=self.command,
                    path=unquote(parts.path),
                    query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                    headers={key.lower(): value for key, value in self.headers.items()},
                )
            )
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)
    return Handler

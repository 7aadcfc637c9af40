"""Requests to a director: addresses, errors, redirects, and a socket deeper than its address."""

from __future__ import annotations

import base64
import errno
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from answering import answering

from director.client.connections import director_url
from director.client.http import Refusal, over_socket, task_of, to_url
from director.client.tasks import follow, read_output
from director.model.errors import DirectorUnreachable, UsageError
from director.model.secret import Secret


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("10.0.0.6", "https://10.0.0.6:25555"),
        ("director.example", "https://director.example:25555"),
        ("https://director.example:8443/", "https://director.example:8443"),
        ("[fd00::1]:1234", "https://[fd00::1]:1234"),
    ],
)
def test_address(given, url):
    assert director_url(given) == url


@pytest.mark.parametrize("given", ["", "http://10.0.0.6", "host:port", "ftp://x"])
def test_address_that_is_none(given):
    with pytest.raises(UsageError):
        director_url(given)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (httpx.Response(404, json={"code": 70000, "description": "no such"}), "no such"),
        (httpx.Response(404, text="Endpoint '/x' not found."), "Endpoint '/x' not found."),
        (httpx.Response(500, text=""), "with status 500"),
        (httpx.Response(401, text="Not authorized: '/x'\n"), "--client-secret"),
        (httpx.Response(400, json=["odd"]), "with status 400"),
    ],
)
def test_refusal_has_the_directors_words(response, text):
    with pytest.raises(Refusal, match=text) as caught:
        answering(lambda _: response).send("GET", "/x")
    assert caught.value.http_status == response.status_code


def test_no_answer():
    def refuse(_request):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    with pytest.raises(DirectorUnreachable, match="does not answer: Connection refused"):
        answering(refuse).get_json("/info")


def test_an_answer_cut_short(tmp_path):
    """Neither as a whole nor streamed is half an answer taken for one."""
    cut = httpx.Response(200, content=b"half", headers={"Content-Length": "8"})
    with pytest.raises(DirectorUnreachable):
        answering(lambda _: cut).get_json("/info")
    with pytest.raises(DirectorUnreachable):
        answering(lambda _: cut).download("/resources/x", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "params", "url"),
    [
        ("/tasks?limit=3", None, "/tasks?limit=3"),
        ("/tasks?limit=3", {"verbose": "2"}, "/tasks?limit=3&verbose=2"),
        ("/a b/\u00fc/%2F", {"x": "a&b"}, "/a%20b/%C3%BC/%2F?x=a%26b"),
    ],
)
def test_target(path, params, url):
    asked: list[httpx.URL] = []

    def handle(request):
        asked.append(request.url)
        return httpx.Response(200, json={})

    answering(handle).get_json(path, params)
    assert asked[0].raw_path.decode() == url


def test_what_cannot_be_sent(deep_socket):
    http = over_socket(deep_socket)
    with pytest.raises(UsageError):
        http.raw("GET", "/info", headers={"X": "a\r\nY: b"})
    assert http.get_json("/info") == {"name": "deep"}
    http.close()


def test_nobody_listens(tmp_path):
    with pytest.raises(DirectorUnreachable, match="No such file"):
        over_socket(tmp_path / "none.sock").get_json("/info")


def test_a_refusal_before_all_is_sent(tmp_path):
    """Who hangs up on a large body has said why before."""
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def refuse() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")

        thread = threading.Thread(target=refuse)
        thread.start()
        http = over_socket(path)
        with pytest.raises(Refusal, match="large"):
            http.send("POST", "/releases", content=iter([b"x" * 65536] * 64))
        http.close()
        thread.join()


def test_credentials_and_path_of_a_url(monkeypatch):
    http = to_url("https://director.example/behind/", client="ann", secret=Secret("p\u00e4ss"))
    sent: list[tuple[object, ...]] = []

    def request(method, target, **more):
        sent.append((method, target, more["headers"]["Authorization"]))
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(http._connection, "request", request)
    with pytest.raises(DirectorUnreachable, match=r"director\.example:25555/behind"):
        http.get_json("/info")
    login = base64.b64encode("ann:p\u00e4ss".encode()).decode()
    assert sent == [("GET", "/behind/info", f"Basic {login}")]


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(303, headers={"Location": "/tasks/17"}),
        httpx.Response(302, headers={"Location": "https://director:25555/tasks/17"}),
        httpx.Response(200, json={"id": 17, "state": "queued"}),
    ],
)
def test_task_of(response):
    assert task_of(answering(lambda _: response).send("POST", "/x")) == 17


@pytest.mark.parametrize(
    "response", [httpx.Response(303, headers={"Location": "/elsewhere"}), httpx.Response(200)]
)
def test_no_task(response):
    with pytest.raises(Refusal):
        task_of(answering(lambda _: response).send("POST", "/x"))


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (httpx.Response(206, content=b"new"), b"new"),
        (httpx.Response(200, content=b"old new"), b"new"),
        (httpx.Response(416), b""),
        (httpx.Response(204), b""),
    ],
)
def test_output_from_an_offset(response, found):
    assert read_output(answering(lambda _: response), 1, "event", 4) == found


def test_follow_reads_what_is_written_before_the_end():
    """The last lines come with the final state, and no byte is read twice."""
    states = iter(["queued", "processing", "done"])
    text = {"queued": b"", "processing": b"one\n", "done": b"one\ntwo\n"}
    now = {"state": "queued"}

    def handle(request):
        if request.url.path.endswith("/output"):
            start = int(request.headers.get("range", "bytes=0-")[6:-1])
            rest = text[now["state"]][start:]
            return httpx.Response(206 if rest else 416, content=rest)
        now["state"] = next(states)
        return httpx.Response(200, json={"id": 3, "state": now["state"]})

    read: list[bytes] = []
    waits: list[float] = []
    task = follow(answering(handle), 3, kind="event", on_output=read.append, pause=waits.append)
    assert task.state == "done"
    assert b"".join(read) == b"one\ntwo\n"
    assert len(waits) == 2
    assert all(0 < wait <= 0.5 for wait in waits)


class _Info(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"name": "deep"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def deep_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with socketserver.UnixStreamServer("s.sock", _Info) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.chdir("/")
        yield folder / "s.sock"
        server.shutdown()
        thread.join()


def test_socket_with_a_long_path(deep_socket):
    http = over_socket(deep_socket)
    assert len(str(deep_socket)) > 108
    assert http.get_json("/info") == {"name": "deep"}
    http.close()
    http.close()


def test_download_leaves_nothing_half_done(tmp_path):
    http = answering(lambda _: httpx.Response(404, json={"code": 100002, "description": "gone"}))
    with pytest.raises(Refusal, match="gone"):
        http.download("/resources/x", tmp_path / "logs.tgz")
    assert list(tmp_path.iterdir()) == []
    answering(lambda _: httpx.Response(200, content=b"x" * 10)).download(
        "/resources/x", tmp_path / "logs.tgz"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["logs.tgz"]

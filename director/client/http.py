"""One connection to a director: requests, redirects to tasks, and errors in an operator's words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from director.client.connections import SocketConnection, director_url, url_connection
from director.model.errors import DirectorRefused, DirectorUnreachable, UsageError
from director.model.secret import Secret

_OK = frozenset({200, 201, 204, 206})
_REDIRECTS = frozenset({302, 303})
_CHUNK = 1 << 20
_AS_IT_IS = "/?&=:@!$'()*+,;~%[]"


class Refusal(DirectorRefused):
    """An answer with an error status; ``http_status`` and ``remote_code`` are the director's."""

    def __init__(self, text: str, *, http_status: int, remote_code: int | None) -> None:
        super().__init__(text)
        self.http_status = http_status
        self.remote_code = remote_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a director answered to a request for ``path``; headers are found in any case."""

    path: str
    status_code: int
    reason_phrase: str
    headers: HTTPMessage
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


class Http:
    """Requests to one director. Not for several threads at once; close it after use.

    ``base`` stands before every path, and ``headers`` are sent with every request.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        *,
        name: str,
        base: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._connection = connection
        self._base = base
        self._headers = dict(headers or {})
        self.name = name

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._connection.close()

    def get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the decoded answer to a GET."""
        return decode(self.send("GET", path, params=params))

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """Return the answer, redirects included; raises :class:`Refusal` for an error status."""
        answer = self.raw(method, path, params=params, headers=headers, content=content)
        if answer.status_code not in _OK | _REDIRECTS:
            raise refusal(answer)
        return answer

    def send_json(
        self, method: str, path: str, body: object, params: Mapping[str, str] | None = None
    ) -> Answer:
        """Send ``body`` as JSON."""
        return self.send(
            method,
            path,
            params=params,
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
        )

    def send_yaml(
        self, method: str, path: str, text: str, params: Mapping[str, str] | None = None
    ) -> Answer:
        """Send ``text`` as YAML."""
        return self.send(
            method,
            path,
            params=params,
            headers={"Content-Type": "text/yaml"},
            content=text.encode(),
        )

    def send_archive(
        self, path: str, archive: Path, params: Mapping[str, str] | None = None
    ) -> Answer:
        """POST a tarball, streamed from disk."""
        headers = {
            "Content-Type": "application/x-compressed",
            "Content-Length": str(archive.stat().st_size),
        }
        with archive.open("rb") as stream:
            chunks = iter(lambda: stream.read(_CHUNK), b"")
            return self.send("POST", path, params=params, headers=headers, content=chunks)

    def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> Answer:
        """Return the answer whatever its status; raises DirectorUnreachable where none comes."""
        with self._talking():
            return _whole(path, self._begin(method, path, params, headers, content))

    def download(self, path: str, target: Path) -> None:
        """Stream the answer to a GET into ``target``, which appears only when it is complete."""
        partial = target.with_name(f".{target.name}.part")
        try:
            with self._talking():
                response = self._begin("GET", path)
                if response.status not in _OK:
                    raise refusal(_whole(path, response))
            with partial.open("wb") as stream:
                while chunk := self._read_some(response):
                    stream.write(chunk)
            partial.replace(target)
        except BaseException:
            self.close()
            raise
        finally:
            partial.unlink(missing_ok=True)

    def _begin(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> HTTPResponse:
        """Send a request and return the answer, of which only the head has been read."""
        target = quote(self._base + path, safe=_AS_IT_IS)
        if params:
            target += ("&" if "?" in path else "?") + urlencode(params)
        sent = {**self._headers, **(headers or {})}
        try:
            self._connection.request(method, target, body=content, headers=sent)
        except (BrokenPipeError, ConnectionResetError):
            # Who refuses a large body may answer and hang up before all of it was sent.
            if content is None:
                raise
        except ValueError as error:
            raise UsageError(f"the request cannot be sent: {error}") from error
        return self._connection.getresponse()

    def _read_some(self, response: HTTPResponse) -> bytes:
        with self._talking():
            chunk = response.read(_CHUNK)
            if not chunk and response.length:
                raise IncompleteRead(b"", response.length)
            return chunk

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Turn what happens to a connection into DirectorUnreachable; it is closed then."""
        try:
            yield
        except (OSError, HTTPException) as error:
            self.close()
            raise unreachable(self.name, error) from error
        except BaseException:
            # The rest of an answer may be on its way; the next request must not be given it.
            self.close()
            raise


def _whole(path: str, response: HTTPResponse) -> Answer:
    return Answer(
        path=path.partition("?")[0],
        status_code=response.status,
        reason_phrase=response.reason,
        headers=response.headers,
        content=response.read(),
    )


def over_socket(path: Path) -> Http:
    """Return a connection through a unix socket, however long its path is."""
    return Http(SocketConnection(path), name="embedded")


def to_url(
    address: str, *, ca_cert: str | None = None, client: str = "", secret: Secret | None = None
) -> Http:
    """Return a connection to a director elsewhere: ``host``, ``host:port`` or an https URL.

    ``ca_cert`` is a path or the PEM text itself; without it the system's roots are trusted.
    """
    url = director_url(address)
    headers = {"Connection": "close"}
    if client:
        login = f"{client}:{secret.reveal() if secret else ''}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection = url_connection(url, ca_cert)
    return Http(connection, name=url, base=urlsplit(url).path, headers=headers)


def task_of(answer: Answer) -> int:
    """Return the id of the task an answer leads to: a redirect to it, or its JSON."""
    if answer.status_code in _REDIRECTS:
        tail = urlsplit(answer.headers.get("Location", "")).path.rpartition("/tasks/")[2]
        if tail.isdigit():
            return int(tail)
    else:
        body = decode(answer)
        if isinstance(body, dict) and isinstance(body.get("id"), int):
            return int(body["id"])
    raise Refusal(
        "the director's answer names no task", http_status=answer.status_code, remote_code=None
    )


def decode(answer: Answer) -> Any:
    """Return an answer's JSON; raises a Refusal where it is none."""
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise Refusal(
            f"the director answered {answer.path} with something that is not JSON",
            http_status=answer.status_code,
            remote_code=None,
        ) from error


def refusal(answer: Answer) -> Refusal:
    """Return the error an answer stands for, in the director's own words where it has any."""
    code: int | None = None
    text = ""
    try:
        body = json.loads(answer.content)
    except ValueError:
        text = answer.text.strip()[:2000]
    else:
        if isinstance(body, dict):
            text = str(body.get("description") or "")
            code = body["code"] if isinstance(body.get("code"), int) else None
    if answer.status_code == 401:
        text = f"{text or 'not authorized'}\n  Fix: check --client and --client-secret"
    if not text:
        text = (
            f"the director answered {answer.path} with status {answer.status_code} "
            "and no explanation"
        )
    return Refusal(text, http_status=answer.status_code, remote_code=code)


def unreachable(name: str, error: OSError | HTTPException) -> DirectorUnreachable:
    """Return the error for a request that got no answer, with the cause by name."""
    cause = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        cause = "no answer in time"
    elif isinstance(error, OSError) and error.strerror and error.filename is None:
        cause = error.strerror
    fix = "check the address given with -e and that the director runs"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        cause = str(error)
        fix = "give the certificate authority with --ca-cert (or BOSH_CA_CERT)"
    return DirectorUnreachable(f"director '{name}' does not answer: {cause}", fix=fix)

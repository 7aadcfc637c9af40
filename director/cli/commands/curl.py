"""``director curl``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from director.cli.command import Command
from director.cli.session import Session
from director.client.http import refusal
from director.model.errors import UsageError

_REDIRECTS = (302, 303)
_FIRST_ERROR = 400


@click.command("curl", cls=Command)
@click.argument("path")
@click.option("--method", "-X", default="GET", show_default=True, help="The HTTP method.")
@click.option("--header", "-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header.")
@click.option("--body", type=click.Path(exists=True, dir_okay=False), help="A file to send.")
@click.option("--show-headers", "-i", is_flag=True, help="Show the answer's headers.")
@click.pass_obj
def command(
    session: Session,
    path: str,
    method: str,
    headers: tuple[str, ...],
    body: str | None,
    show_headers: bool,
) -> None:
    """Send an HTTP request to the director.

    For example: director curl /tasks?limit=3
    """
    if not path.startswith("/"):
        raise UsageError(f"'{path}' is not a path", fix="begin it with a slash: /info")
    content = Path(body).read_bytes() if body else None
    answer = session.http.raw(method.upper(), path, headers=_pairs(headers), content=content)
    if answer.status_code in _REDIRECTS:
        location = urlsplit(answer.headers.get("Location", ""))
        answer = session.http.raw("GET", location.path)
    if show_headers:
        session.ui.block(f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}")
        session.ui.block("".join(f"{name}: {value}\n" for name, value in answer.headers.items()))
    if answer.status_code >= _FIRST_ERROR:
        raise refusal(answer)
    session.ui.block(answer.text)


def _pairs(headers: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"'{header}' is not a header", fix="write it as 'NAME: VALUE'")
        found[name.strip()] = value.strip()
    return found

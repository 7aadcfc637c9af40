"""Request bodies: read to their end, never further than a limit."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.context import context_of
from director.api.routing import in_thread
from director.model.errors import BadRequest, DirectorError, TooLarge

TEXT_LIMIT = 10_000_000
"""Bytes of a manifest or config."""

UPLOAD_LIMIT = 10 * 1024**3
"""Bytes of a release or stemcell tarball."""

_DRAIN_LIMIT = 1024**3

Endpoint = Callable[[Request], Awaitable[Response]]


def with_text(handler: Callable[[Request, str], Response]) -> Endpoint:
    """Make a handler of a request and its body as text; it runs in a thread."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        return await in_thread(handler, request, await read_text(request))

    return endpoint


def with_json(handler: Callable[[Request, dict[str, Any]], Response]) -> Endpoint:
    """Make a handler of a request and its body as a JSON object; it runs in a thread."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        text = await read_text(request)
        try:
            body = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            raise BadRequest("the request's body is not JSON") from error
        if not isinstance(body, dict):
            raise BadRequest("the request's body is not a JSON object")
        return await in_thread(handler, request, body)

    return endpoint


async def save_upload(request: Request) -> Path:
    """Stream the body into a new file of the work directory and return its path.

    Raises TooLarge, BadRequest for an empty body, DirectorError if it cannot be kept; then no file
    is left. The file belongs to the caller.
    """
    world = context_of(request).world
    path = world.work_dir / f"upload-{world.new_id()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            size = await _save(request, file.write)
        if size == 0:
            raise BadRequest("the upload is empty")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise DirectorError(
            f"the upload cannot be kept: {error.strerror}",
            fix=f"make room in '{world.work_dir}'",
        ) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def _save(request: Request, write: Callable[[bytes], int]) -> int:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > UPLOAD_LIMIT:
            raise TooLarge(f"the upload is larger than {UPLOAD_LIMIT // 1024**3} GiB")
        write(chunk)
    return size


async def read_text(request: Request) -> str:
    """Return the body as text; raises TooLarge, or BadRequest for what is not UTF-8."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        # What is too large is read on and thrown away, or the client would see a broken connection
        # instead of the answer.
        if size <= TEXT_LIMIT:
            parts.append(chunk)
        elif size > _DRAIN_LIMIT:
            break
    if size > TEXT_LIMIT:
        raise TooLarge(
            f"the text is larger than {TEXT_LIMIT // 10**6} MB",
            fix="a manifest or config of this size is a mistake: look at what made it",
        )
    try:
        return b"".join(parts).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the text is not UTF-8 (byte {error.start})") from error

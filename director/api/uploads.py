"""Tarballs: sent as the body, or named by an address the director downloads from."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from director.api.bodies import read_text, save_upload
from director.model.errors import BadRequest


async def uploaded(request: Request) -> dict[str, Any]:
    """Return a task's arguments: ``path`` of the body, kept, or ``location`` and ``sha1``.

    Raises BadRequest, and HTTPException 404 for a media type that has no endpoint.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/x-compressed":
        return {"path": str(await save_upload(request))}
    if media_type != "application/json":
        raise HTTPException(404)
    try:
        body = json.loads(await read_text(request))
    except (ValueError, RecursionError) as error:
        raise BadRequest("the request's body is not JSON") from error
    location = body.get("location") if isinstance(body, dict) else None
    if not isinstance(location, str) or not location:
        raise BadRequest("'location' is required", fix="give the address of the tarball")
    digest = body.get("sha1")
    if digest is not None and not isinstance(digest, str):
        raise BadRequest("'sha1' must be text")
    return {"location": location, "sha1": digest}

"""Errors as HTTP: the class's status, and a body with its code and text."""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from director.model.errors import ConfigChanged, DirectorError

_log = logging.getLogger(__name__)


def director_error(_request: Request, error: Exception) -> Response:
    """Return an error that is the operator's business."""
    if not isinstance(error, DirectorError):
        raise error
    body: dict[str, object] = {"code": error.code, "description": str(error)}
    if isinstance(error, ConfigChanged):
        body["latest_id"] = str(error.latest_id)
        body["expected_latest_id"] = str(error.expected_latest_id)
    return JSONResponse(body, error.status)


def http_error(request: Request, error: Exception) -> Response:
    """Return what routing refused; a wrong method is a missing endpoint, as in BOSH."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status in (404, 405):
        return PlainTextResponse(f"Endpoint '{request.url.path}' not found.", 404)
    detail = error.detail if isinstance(error, HTTPException) else ""
    return PlainTextResponse(detail, status)


def internal_error(request: Request, error: Exception) -> Response:
    """Return a mistake of the director's own, whose details are in its log only."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    body = {
        "code": DirectorError.code,
        "description": f"internal error ({type(error).__name__})\n"
        "  Fix: read director.log in the director's home directory and report it",
    }
    return JSONResponse(body, 500)

"""BOSH's CPI protocol as data: requests, answers and errors, to and from JSON.

A request is ``{method, arguments, context, api_version}``, an answer ``{result, error, log}`` with
``error`` as ``{type, message, ok_to_retry}``. Version 1 of the protocol differs in two answers:
``create_vm`` gives the CID alone and ``attach_disk`` nothing. What comes from the other side is
hostile: it is measured and checked here, and read nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpis.contract import (
    CloudDiskNotFound,
    CloudError,
    DiskNotAttached,
    NoDiskSpace,
    NotImplementedByCpi,
    NotSupportedByCpi,
    VmCreationFailed,
    VmNotFound,
)
from cpis.rpc.json_text import Malformed, from_json, to_json
from cpis.rpc.methods import METHODS

VERSION = 2
"""The newest version of the protocol spoken here."""

_FIX = "\n  Fix: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. ``api_version`` None means that the caller did not say: version 1."""

    method: str
    arguments: Sequence[Any]
    context: Mapping[str, Any] = field(repr=False)
    api_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call gave: a result, or an error; and what was said meanwhile."""

    result: Any = None
    error: CloudError | None = None
    log: str = ""


_ERRORS: Mapping[str, type[CloudError]] = {
    error.type_name: error
    for error in (
        *(CloudError, VmCreationFailed, VmNotFound, CloudDiskNotFound, DiskNotAttached),
        *(NoDiskSpace, NotImplementedByCpi, NotSupportedByCpi),
    )
}
_OLD_NOT_IMPLEMENTED = (
    ("InvalidCall", "Method is not known"),
    ("Bosh::Clouds::CloudError", "Invalid Method:"),
)
"""How CPIs older than the type NotImplemented say that they lack a method."""

_PLAIN_TYPES = ("Bosh::Clouds::CloudError", "Bosh::Clouds::CpiError", "Unknown", "InvalidCall")


# -- requests -----------------------------------------------------------------------------------


def request_to_json(request: Request) -> bytes:
    """Return the bytes for an executable's standard input; raises Malformed for no JSON data."""
    data: dict[str, Any] = {
        "method": request.method,
        "arguments": list(request.arguments),
        "context": dict(request.context),
    }
    if request.api_version is not None:
        data["api_version"] = request.api_version
    return to_json(data)


def request_from_json(text: bytes) -> Request:
    """Return a request whose arguments are all there and fit its method.

    Raises Malformed, and NotImplementedByCpi for a method that is not in the table.
    """
    data = from_json(text)
    if not isinstance(data, dict) or not isinstance(data.get("method"), str):
        raise Malformed("is no mapping with a 'method'")
    name, arguments, context = data["method"], data.get("arguments"), data.get("context", {})
    if name not in METHODS:
        raise NotImplementedByCpi(f"the method '{name[:100]}' is not known")
    version = data.get("api_version")
    if version is not None and type(version) is not int:
        raise Malformed("has an 'api_version' that is no whole number")
    if not isinstance(arguments, list) or not isinstance(context, dict):
        raise Malformed("lacks the list 'arguments' or the mapping 'context'")
    return Request(
        method=name,
        arguments=_checked(name, arguments),
        context=context,
        api_version=version,
    )


def _checked(name: str, arguments: list[Any]) -> list[Any]:
    method = METHODS[name]
    # Later versions of the protocol add arguments at the end; they are not for us.
    given = arguments[: len(method.arguments)]
    left_out = len(method.arguments) - len(given)
    if left_out > len(method.defaults):
        raise Malformed(f"has {len(given)} arguments, and '{name}' takes {len(method.arguments)}")
    full = [*given, *method.defaults[len(method.defaults) - left_out :]]
    for place, (shape, value) in enumerate(zip(method.arguments, full, strict=True), start=1):
        if not shape.fits(value):
            raise Malformed(f"has an argument {place} of '{name}' that is not {shape.wanted}")
    return full


# -- answers ------------------------------------------------------------------------------------


def answer_to_json(answer: Answer) -> bytes:
    """Return the bytes for standard output; raises Malformed for a result that is no JSON data."""
    error = None if answer.error is None else error_to_json(answer.error)
    result = answer.result if answer.error is None else None
    return to_json({"result": result, "error": error, "log": answer.log})


def answer_from_json(text: bytes, method: str) -> Answer:
    """Return an answer whose result fits the method; raises Malformed."""
    data = from_json(text)
    if not isinstance(data, dict):
        raise Malformed("is no mapping")
    log = data.get("log")
    log = log if isinstance(log, str) else ""
    if data.get("error") is not None:
        return Answer(error=error_from_json(data["error"], method), log=log)
    shape = METHODS[method].result
    if "result" not in data and not shape.fits(None):
        raise Malformed("has neither 'result' nor 'error'")
    if not shape.fits(data.get("result")):
        raise Malformed(f"has a result of '{method}' that is not {shape.wanted}")
    return Answer(result=data.get("result"), log=log)


def error_to_json(error: CloudError) -> dict[str, Any]:
    """Return an error as the protocol's mapping; what to do about it is part of the message."""
    return {
        "type": error.type_name,
        "message": str(error),
        "ok_to_retry": bool(error.ok_to_retry),
    }


def error_from_json(data: Any, method: str) -> CloudError:
    """Return the error an executable answered ``method`` with, of our class for its type."""
    given = data if isinstance(data, dict) else {"message": data}
    name = given.get("type")
    name = name if isinstance(name, str) else ""
    message = given.get("message")
    text = message if isinstance(message, str) else json.dumps(message)
    what, _, fix = text.strip().partition(_FIX)
    what = what or f"the CPI refused '{method}' and did not say why"
    if any(name == kind and what.startswith(words) for kind, words in _OLD_NOT_IMPLEMENTED):
        kind: type[CloudError] = NotImplementedByCpi
    else:
        kind = _ERRORS.get(name, CloudError)
    if kind is CloudError and name and name not in _PLAIN_TYPES:
        what = f"{what} ({name[:100]})"
    return kind(what, ok_to_retry=given.get("ok_to_retry") is True, fix=fix.strip() or None)

"""Routes whose handlers are plain functions and run in threads, so that none holds up another."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from starlette import routing
from starlette.requests import Request
from starlette.responses import Response

P = ParamSpec("P")
T = TypeVar("T")

Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what ``work`` returns, called in a thread of the event loop's own pool.

    Starlette's way to do so is anyio's, which takes 20 ms to import: a good part of a command.
    """
    return await asyncio.to_thread(work, *args, **kwargs)


class Route(routing.Route):
    """A path and what answers there: a function that runs in a thread, or a coroutine."""

    def __init__(self, path: str, handler: Handler, *, methods: list[str]) -> None:
        super().__init__(path, _threaded(handler), methods=methods)


def _threaded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    if inspect.iscoroutinefunction(handler):
        return handler

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        answer = await in_thread(handler, request)
        assert isinstance(answer, Response)
        return answer

    return endpoint

"""The API on a socket, served by a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

_KEEP_ALIVE_S = 3600
_LAST_ANSWERS_S = 5.0


class _Server(uvicorn.Server):
    """Uvicorn's server without its polling: it stops at once when it is told to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End the server from another thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for server in self.servers:
            server.close()
        deadline = asyncio.get_running_loop().time() + _LAST_ANSWERS_S
        while self.server_state.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(self.server_state.connections):
                connection.shutdown()
            await asyncio.sleep(0.001)


@contextmanager
def serving(app: Starlette, listener: socket.socket) -> Iterator[None]:
    """Serve ``app`` on a listening socket while the block runs; answers under way are finished."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    server = _Server(config)

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            # Who waits for an answer that cannot come is told so.
            listener.close()

    thread = threading.Thread(target=run, name="api", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        server.stop()
        thread.join(_LAST_ANSWERS_S + 1)

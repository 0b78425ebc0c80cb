"""Run the app on a socket until somebody asks to stop."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from runwell.stream.presence import Closing

BACKLOG = 2_048
KEEP_ALIVE = 75
"""Seconds; longer than the minute that load balancers keep idle connections, so that they close first."""
GRACE = 10
"""Seconds that requests under way get once the long ones have been told."""


MOST_OVERHEAD = 128 * 1024
"""Bytes that may come without becoming a request or a part of its body: of a head, mostly."""


class BoundedHeads(HttpToolsProtocol):
    """HTTP whose heads, trailers and chunk extensions have an end: the parser keeps them until they
    have, and anybody may send one."""

    _overhead = 0

    def data_received(self, data: bytes) -> None:
        self._overhead += len(data)
        super().data_received(data)
        if self._overhead > MOST_OVERHEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too large.")

    def on_headers_complete(self) -> None:
        self._overhead = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        super().on_message_complete()


class Server(uvicorn.Server):
    """uvicorn, which at its end first ends what would keep it: event streams and long-polls.

    `ready` is set when the socket listens, `port` is then the one that was chosen.
    """

    def __init__(self, config: uvicorn.Config, closing: Closing) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._closing = closing

    @property
    def port(self) -> int:
        """Only once `ready`."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM end `serve`, and no more: what stands around the server stops after it.

        uvicorn raises the signal again at its end, which would kill the process before its worker
        has handed back its runs.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # no signal comes here; `should_exit` ends it
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Before the wait for open requests, which streams would make as long as the longest run.
        self._closing.begin()
        await super().shutdown(sockets)


def server(
    app: ASGIApp,
    closing: Closing,
    *,
    host: str,
    port: int,
    log_level: str = "warning",
    trusted_proxies: str | None = None,
) -> Server:
    """A server for the app, on the running loop; `await serve()` runs it until SIGINT, SIGTERM or
    `should_exit`. `port` 0 takes a free one. `trusted_proxies`: addresses whose X-Forwarded-* counts."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http=BoundedHeads,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level=log_level,
        server_header=False,
        # Nothing served here is to be taken for a script because it looks like one.
        headers=[("x-content-type-options", "nosniff")],
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
    )
    return Server(config, closing)

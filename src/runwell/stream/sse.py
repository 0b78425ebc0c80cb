"""Server-sent events as a plain ASGI response of ready bytes.

One task and one small listener per connection, no queue: what the client does not read stays in the
log. A page of events is one write, and the next page is read only when the server took the last.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, nullcontext
from time import monotonic

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runwell.domain.events import LoggedEvent
from runwell.stream.presence import Attended, Closing
from runwell.stream.tail import LOOKS

KEEP_ALIVE = b": keep-alive\n\n"
RECONNECT = b"retry: 1000\n\n"
"""Clients come back a second after a break."""
SILENCE = 15.0
"""Seconds without a byte after which proxies and clients begin to doubt."""

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Reverse proxies of the nginx family would keep the events to themselves.
    (b"x-accel-buffering", b"no"),
)


class EventStream(Response):
    """Sends `chunks` as they come; an empty chunk is a turn to keep the connection alive.

    `chunks` is closed in the end, however it ends. Ends when `chunks` does, when the client leaves
    (nothing more is sent) and when the server closes (the answer is completed, so the client knows
    to come back with its `Last-Event-ID`). `opening` is sent at once with the first chunk's turn.

    `who` is the caller whose open streams are limited, see `Closing`; making one too many raises
    `TooManyStreams`. It counts from the moment it is sent until it ends, so make it when it is to be
    sent. `base` replaces the usual headers, `headers` come on top.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        closing: Closing,
        *,
        who: str | None = None,
        opening: bytes = RECONNECT,
        base: Iterable[tuple[bytes, bytes]] = HEADERS,
        headers: Iterable[tuple[bytes, bytes]] = (),
        keep_alive: bytes = KEEP_ALIVE,
        silence: float = SILENCE,
    ) -> None:
        if who is not None:
            closing.admit_stream(who)
        self.status_code = 200
        self.background = None
        self.raw_headers = [*base, *headers]
        self._chunks = chunks
        self._closing = closing
        self._who = who
        self._opening = opening
        self._keep_alive = keep_alive
        # The next turn may be as far away as the longest look.
        self._quiet = silence - LOOKS[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Counted before anything is awaited: whoever asks next sees it. A stream that was made and
        # never sent has taken nothing.
        with self._closing.stream_of(self._who) if self._who is not None else nullcontext():
            await self._stream(receive, send)

    async def _stream(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with (
            Attended(receive, self._closing, self._closing.streams) as attended,
            # A generator left half-way must not wait for the garbage collector to end its watch.
            aclosing(self._chunks),
        ):
            # Before the first event, so that the client knows it is connected.
            await send({"type": "http.response.body", "body": self._opening, "more_body": True})
            sent = monotonic()
            async for chunk in self._chunks:
                if not chunk:
                    if monotonic() - sent < self._quiet:
                        continue
                    chunk = self._keep_alive
                # Waits while the client's buffers are full.
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                sent = monotonic()
        if attended.end != "left":
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def rendered(
    pages: AsyncGenerator[list[LoggedEvent], None], render: Callable[[list[LoggedEvent]], bytes]
) -> AsyncGenerator[bytes, None]:
    """What `render` makes of each page, in one piece. An empty page stays empty and is not rendered."""
    async with aclosing(pages):
        async for page in pages:
            yield render(page) if page else b""

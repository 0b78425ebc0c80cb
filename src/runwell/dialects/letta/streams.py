"""Streams of runs over HTTP: replayed from the log, followed live, and ended where Letta ends them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Final

import msgspec
from starlette.responses import Response

from runwell.dialects.dialect import Services
from runwell.dialects.letta import messages
from runwell.dialects.letta.frames import LettaFrames, View
from runwell.dialects.letta.origin import origin_of
from runwell.domain.events import LoggedEvent, RunWaiting
from runwell.domain.principal import Principal
from runwell.domain.run import Run
from runwell.engine.core import Core
from runwell.stream.sse import EventStream
from runwell.stream.tail import tail

PING_AFTER = 15.0
"""Seconds of silence after which the next look brings a ping; looks are 5 s apart, so every 20 s."""
SILENCE = 25.0
"""Seconds after which a stream without pings gets a comment, so that proxies keep it open."""
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


async def stream_of(services: Services, principal: Principal, run: Run, view: View) -> Response:
    """The run's stream. Raises `LogPruned`, `TooManyStreams`."""
    # One line tells whether the log is still there, while there is a status to say so with.
    await services.core.store.events.read(run.id, 0, 1)
    return EventStream(
        _chunks(services.core, run, view),
        services.closing,
        who=principal.who,
        opening=b"",
        base=HEADERS,
        silence=SILENCE,
    )


async def _chunks(core: Core, run: Run, view: View) -> AsyncGenerator[bytes, None]:
    writer = LettaFrames(run, origin_of(run), view)
    sent, pings = monotonic(), 0
    async with aclosing(tail(core.store, core.signals, run.id, 0)) as pages:
        async for page in pages:
            chunk = writer.write_page(page)
            if not page and view.pings and monotonic() - sent > PING_AFTER:
                pings += 1
                ping = messages.ping_of(run.id, core.clock.now(), pings)
                chunk = b"data: " + msgspec.json.encode(ping) + b"\n\n"
            closing = await _closing(core, run, page, writer)
            if chunk or closing:
                sent = monotonic()
            yield chunk + (closing or b"")
            if closing is not None:
                return


async def _closing(core: Core, run: Run, page: list[LoggedEvent], writer: LettaFrames) -> bytes | None:
    """What ends the stream of a run that waits; None when it does not, or goes on already."""
    if not page or page[-1].type != RunWaiting.type:
        return None
    return None if await core.store.events.read(run.id, page[-1].seq, 1) else writer.waiting()

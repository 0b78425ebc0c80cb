"""Watching a run: its frames from the beginning, then as they come."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.types import Scope

from runwell.dialects.dialect import Services
from runwell.dialects.hardwire.runs import Plan, RunView
from runwell.dialects.hardwire.wire import MessageFrames, RunFrames, Wire
from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.domain.run import Run
from runwell.stream.sse import EventStream
from runwell.stream.tail import tail

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
)


async def watch_run(
    services: Services, wire: Wire, who: str, run: Run, view: RunView, plan: Plan, scope: Scope
) -> EventStream:
    """A workflow run. Raises `TooManyStreams`."""
    core = services.core
    try:
        await core.store.events.read(run.id, 0, 1)
    except LogPruned:
        return event_stream(services, who, once(wire.run_frames_without_log(view, plan)))
    writer = wire.run_frames(view, plan)
    pages = tail(core.store, core.signals, run.id, 0)
    chunks = run_chunks(pages, wire, writer, scope, run.last_seq if wire.snapshots else 0)
    return event_stream(services, who, chunks)


def watch_message(services: Services, who: str, run: Run, writer: MessageFrames) -> EventStream:
    """The answer to a message. Raises `TooManyStreams`."""
    core = services.core
    pages = tail(core.store, core.signals, run.id, 0)
    return event_stream(services, who, message_chunks(pages, writer))


def event_stream(services: Services, who: str, chunks: AsyncGenerator[bytes, None]) -> EventStream:
    return EventStream(chunks, services.closing, who=who, opening=b"", base=HEADERS)


async def once(frames: bytes) -> AsyncGenerator[bytes, None]:
    yield frames


async def run_chunks(
    pages: AsyncGenerator[list[LoggedEvent], None],
    wire: Wire,
    writer: RunFrames,
    scope: Scope,
    caught_up: int,
) -> AsyncGenerator[bytes, None]:
    """What is sent for each page of the log. Of snapshots that come together only the last is, and none
    before event `caught_up`: a run that has ended is one snapshot and its end."""
    held: list[bytes] = []
    async with aclosing(pages):
        async for page in pages:
            for line in page:
                frames = list(writer.write(line))
                if wire.snapshots and frames:
                    held.clear()
                held += frames
            if page and page[-1].seq < caught_up:
                # A long log is much to tell, and others are waiting.
                await asyncio.sleep(0)
                continue
            yield b"".join(held)
            held.clear()
    if not writer.ended:
        yield wire.run_deleted(writer, scope)


async def message_chunks(
    pages: AsyncGenerator[list[LoggedEvent], None], writer: MessageFrames
) -> AsyncGenerator[bytes, None]:
    async with aclosing(pages):
        async for page in pages:
            yield b"".join(frame for line in page for frame in writer.write(line))
    if not writer.ended:
        yield b"".join(writer.give_up())

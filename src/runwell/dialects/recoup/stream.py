"""Watching a run: its frames from a number on, as they come.

Nothing is remembered between requests: the log is told from its beginning each time, and the frames
that the client has are passed over.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from runwell.dialects.dialect import Services
from runwell.dialects.recoup.errors import CORS
from runwell.dialects.recoup.frames import DONE, FINISH, TurnFrames
from runwell.dialects.recoup.words import run_word
from runwell.domain.errors import IllegalTransition, RunNotFound
from runwell.domain.events import LoggedEvent
from runwell.domain.principal import Principal
from runwell.domain.run import Run
from runwell.engine import control
from runwell.engine.core import Core
from runwell.stream.sse import EventStream
from runwell.stream.tail import tail

PAGE = 500
HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-vercel-ai-ui-message-stream", b"v1"),
    (b"x-accel-buffering", b"no"),
    *CORS,
)
RUN_ID = b"x-workflow-run-id"
TAIL_INDEX = b"x-workflow-stream-tail-index"


async def frames_so_far(core: Core, run: Run) -> int:
    """How many frames the run's log is by now. Raises `LogPruned`."""
    writer, count, after = TurnFrames(run.id), 0, 0
    while lines := await core.store.events.read(run.id, after, PAGE):
        count += sum(1 for line in lines for _ in writer.write(line))
        after = lines[-1].seq
        if len(lines) < PAGE:
            break
        # A long log is much to tell, and others are waiting.
        await asyncio.sleep(0)
    return count


def watch(
    services: Services, caller: Principal, run: Run, start: int = 0, tail_index: int | None = None
) -> EventStream:
    """The run's frames from number `start` on, until it has ended. Raises `TooManyStreams`."""
    core = services.core
    headers = [(RUN_ID, run_word(run.id).encode())]
    if tail_index is not None:
        headers.append((TAIL_INDEX, b"%d" % tail_index))
    chunks = written(tail(core.store, core.signals, run.id, 0), TurnFrames(run.id), start)
    if services.options.recoup_cancel_on_leave:
        chunks = cancelling(services, run, chunks)
    return EventStream(chunks, services.closing, who=caller.who, opening=b"", base=HEADERS, headers=headers)


def nothing(services: Services) -> EventStream:
    """A stream that ends at once."""

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield FINISH + DONE

    return EventStream(chunks(), services.closing, opening=b"", base=HEADERS)


async def written(
    pages: AsyncGenerator[list[LoggedEvent], None], writer: TurnFrames, start: int
) -> AsyncGenerator[bytes, None]:
    """What is sent for each page of the log."""
    number = 0
    async with aclosing(pages):
        async for page in pages:
            sent: list[bytes] = []
            for line in page:
                for frame in writer.write(line):
                    if number >= start:
                        sent.append(frame)
                    number += 1
            if writer.ended:
                sent.append(DONE)
            yield b"".join(sent)
    if not writer.ended:
        yield b"".join([*writer.give_up(), DONE])


async def cancelling(
    services: Services, run: Run, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The same, for servers on which a run does not outlive its watchers, as it does not on the original."""
    complete = False
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
        complete = True
    finally:
        # A server that closes has left its clients, not they the run.
        if not complete and not services.closing.begun:
            await _cancel(services.core, run)


async def _cancel(core: Core, run: Run) -> None:
    try:
        await control.cancel(core, run.owner, run.id, by=run.owner)
    except (IllegalTransition, RunNotFound):
        return  # it has ended by itself

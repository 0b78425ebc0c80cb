"""GET /api/v1/runs/{id}/stream: the job's story from its beginning, then as it happens."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.praisonai.frames import JobFrames, deleted_frames, frames_without_log, heartbeat
from runwell.dialects.praisonai.jobs import Jobs
from runwell.dialects.praisonai.responses import PRIVATE
from runwell.dialects.praisonai.words import seconds_allowed
from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.domain.instant import seconds_between
from runwell.domain.principal import Principal
from runwell.domain.run import Run
from runwell.ports.clock import Clock
from runwell.stream.sse import EventStream
from runwell.stream.tail import tail

HEARTBEAT = 4.9
"""Seconds without a frame after which one says that all is well; the tail comes by every five."""
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
)


async def watch(jobs: Jobs, caller: Principal, job_id: str, call: Call) -> Reply | EventStream:
    """The stream; 204 for who has seen all of it, which tells a browser not to come back.

    Raises `JobNotFound`, `TooManyStreams`.
    """
    run = await jobs.find(caller.owner, job_id)
    after = _cursor(call, run)
    if run.final and after >= run.last_seq:
        return Reply(204, [PRIVATE])
    core = jobs.core
    try:
        await core.store.events.read(run.id, 0, 1)
        pages = tail(core.store, core.signals, run.id, 0)
        chunks = written(pages, JobFrames(run.id, seconds_allowed(run)), after, core.clock)
    except LogPruned:
        chunks = _ended(run)
    return EventStream(chunks, jobs.services.closing, who=caller.who, opening=b"", base=HEADERS)


async def written(
    pages: AsyncGenerator[list[LoggedEvent], None], writer: JobFrames, after: int, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """The frames of each page that come after the cursor, and heartbeats in between.

    The writer sees the log from its beginning: what changed after the cursor depends on what was before.
    """
    said = clock.now()
    async with aclosing(pages):
        async for page in pages:
            chunk = b"".join(frame for line in page for frame in writer.write(line) if line.seq > after)
            now = clock.now()
            if not chunk and seconds_between(said, now) >= HEARTBEAT:
                chunk = heartbeat(now)
            if chunk:
                said = now
            yield chunk
    if not writer.ended:
        yield deleted_frames()


async def _ended(run: Run) -> AsyncGenerator[bytes, None]:
    yield frames_without_log(run)


def _cursor(call: Call, run: Run) -> int:
    """`Last-Event-ID`; 0 for none, and for what is no number of this run's."""
    text = call.header(b"last-event-id") or ""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return 0
    return int(text) if int(text) <= run.last_seq else 0

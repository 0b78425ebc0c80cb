"""GET /runs/{id}/events: a page of the log, or the log as it grows."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Scope as HttpScope

from runwell.dialects.exchange import Call, Reply
from runwell.dialects.native.native import Native, admit, still_admitted
from runwell.dialects.native.responses import JSON, PRIVATE
from runwell.domain.errors import InvalidInput
from runwell.domain.ids import parse_id
from runwell.domain.principal import Principal, Scope
from runwell.engine import read
from runwell.stream.sse import RECONNECT, EventStream, rendered
from runwell.stream.tail import tail

MOST_EVENTS = 1_000
LAST_SEQ = 2**63 - 1
ASK_AGAIN = 4.0
"""Seconds after which an endless stream asks whether its reader may still read it; less than between two of
its turns."""


class WatchRun:
    """The stream for callers that accept `text/event-stream`; others are left to the app."""

    def __init__(self, native: Native) -> None:
        self._native = native
        self._services = native.services

    async def __call__(self, call: Call) -> Reply | Response | None:
        if b"text/event-stream" not in call.headers.get(b"accept", b""):
            return None
        principal = await admit(self._services, call.scope, call.headers, Scope.RUNS_READ)
        after = _cursor(call)
        core = self._native.core
        # One event tells whether there is anything to come, and whether the log is still there.
        run, lines = await read.events(core, principal.owner, parse_id(call.param), after, 1)
        if run.final and not lines and after >= run.last_seq:
            return Reply(204, [PRIVATE])
        pages = tail(core.store, core.signals, run.id, after)
        return EventStream(
            rendered(pages, self._native.render.frames), self._native.services.closing, who=principal.who
        )


async def page(native: Native, owner: str, run_id: str, after: int, limit: int) -> Reply:
    """A page of the log after a cursor. Raises `RunNotFound`, `LogPruned`."""
    run, lines = await read.events(native.core, owner, run_id, after, limit)
    next_after = lines[-1].seq if lines else after
    # The run was read before its log: what was final then has no later event.
    final = run.final and next_after >= run.last_seq
    return Reply(200, [JSON, PRIVATE], native.render.event_page(lines, next_after, final))


def watch_changes(native: Native, request: HttpScope, caller: Principal, owner: str | None) -> EventStream:
    """Which runs come and change, of an owner or for None of everybody, until the caller may not know any
    more. Raises `TooManyStreams`."""
    chunks = _changes(native, request, caller, owner)
    return EventStream(chunks, native.services.closing, who=caller.who, opening=b"")


async def _changes(
    native: Native, request: HttpScope, caller: Principal, owner: str | None
) -> AsyncGenerator[bytes, None]:
    async with aclosing(native.changes.of(owner)) as all_changes:
        # Nothing is sent before listening has begun: whoever has heard from us reads the list, and misses
        # nothing.
        await anext(all_changes)
        yield RECONNECT
        asked = monotonic()
        async for changed in all_changes:
            if monotonic() - asked >= ASK_AGAIN:
                if not await still_admitted(native.services, request, caller):
                    return
                asked = monotonic()
            yield b"" if changed is None else native.render.changed(changed)


def _cursor(call: Call) -> int:
    """`Last-Event-ID`, which a reconnecting browser sends by itself, before `?after=`."""
    last = call.header(b"last-event-id")
    if last is not None:
        return _seq(last, "header.Last-Event-ID")
    query = parse_qs(call.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return _seq(query["after"][-1], "query.after") if "after" in query else 0


def _seq(text: str, path: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LAST_SEQ):
        raise InvalidInput(path, f"{text[:80]!r} is no event number")
    return int(text)

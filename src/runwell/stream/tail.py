"""The one live path: read the log after a cursor, and when there is nothing more, look again later.

A signal only says when to look. It may be lost, so a look is never further away than `LOOKS` says,
and a reader that is slow is served from the log: nothing is kept for it in memory.
"""

import asyncio
from collections.abc import AsyncGenerator

from runwell.domain.errors import LogPruned, RunNotFound
from runwell.domain.events import FINAL_TYPES, LoggedEvent
from runwell.ports.signals import Signals
from runwell.ports.store import Store

LOOKS = (1.0, 4.0, 5.0)
"""Seconds between looks that no signal asked for; the last goes on. Signals are rarely lost."""


async def tail(
    store: Store, signals: Signals, run_id: str, after: int, *, page: int = 500
) -> AsyncGenerator[list[LoggedEvent], None]:
    """Everything in the run's log with a number > `after`, as it comes, until the run has ended.

    Yields pages of 1 to `page` events in order, and an empty page whenever a wait brought nothing,
    so that the reader gets the turn to keep its connection alive. Ends after the final event, at
    once when `after` is the end of a final run's log or past it, and when the run is deleted or its
    log pruned meanwhile. The caller has checked that the run is its owner's. Raises `LogPruned` when
    it was pruned before, `StoreUnavailable`.
    """
    idle, first = 0, after
    # The watch begins before the first read: what is committed in between is signalled to it.
    with signals.watch(run_id) as watch:
        while True:
            try:
                lines = await store.events.read(run_id, after, page)
            except LogPruned:
                if after == first:
                    raise
                return  # a slow reader of an old log: there is no status left to say it with
            if lines:
                after = lines[-1].seq
                idle = 0
                yield lines
                if lines[-1].type in FINAL_TYPES:
                    return
                if len(lines) == page:
                    # A reader that drops what it has seen waits for nothing, and others are waiting.
                    await asyncio.sleep(0)
                    continue
            elif await _over(store, run_id, after):
                return
            if await watch.wait(LOOKS[min(idle, len(LOOKS) - 1)]):
                idle = 0
            else:
                idle += 1
                yield []


async def _over(store: Store, run_id: str, after: int) -> bool:
    """Whether nothing will ever follow `after`. The read that found nothing may be older than this
    one, so a final run whose log goes further than the cursor is not over yet."""
    try:
        run = await store.runs.get(run_id)
    except RunNotFound:
        return True
    return run.final and after >= run.last_seq

"""Runs that were still queued or waiting at their `expires_at`."""

import asyncio

from runwell.domain.commands import Expire
from runwell.domain.errors import IllegalTransition, RunNotFound, StaleRun
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.clock import Clock
from runwell.ports.store import Store

BATCH = 200


async def expire_due(store: Store, clock: Clock) -> int:
    """End them as failed (reason `expired`); how many."""
    now = clock.now()
    ended = 0
    while due := await store.runs.expired(now, BATCH):
        # Together: the store writes them in one commit.
        done = sum(await asyncio.gather(*(_expire(store, run, now) for run in due)))
        ended += done
        if not done or len(due) < BATCH:
            break
    return ended


async def _expire(store: Store, run: Run, now: Instant) -> bool:
    try:
        await store.runs.commit(decide(run, Expire(), now), now)
    except (StaleRun, IllegalTransition, RunNotFound):
        return False  # claimed or answered at the last moment: it did not expire
    return True

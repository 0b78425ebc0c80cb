"""Runs that were still queued or waiting at their `expires_at`."""

from runwell.domain.commands import Expire
from runwell.domain.errors import IllegalTransition, RunNotFound, StaleRun
from runwell.domain.lifecycle import decide
from runwell.ports.clock import Clock
from runwell.ports.store import Store

BATCH = 200


async def expire_due(store: Store, clock: Clock) -> int:
    """End them as failed (reason `expired`); how many."""
    now = clock.now()
    ended = 0
    for run in await store.runs.expired(now, BATCH):
        try:
            await store.runs.commit(decide(run, Expire(), now), now)
        except (StaleRun, IllegalTransition, RunNotFound):
            continue  # claimed or answered at the last moment: it did not expire
        ended += 1
    return ended

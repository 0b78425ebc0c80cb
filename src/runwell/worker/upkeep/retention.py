"""Runs that have ended, and their logs, for as long as they are to be kept."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from runwell.domain.instant import Instant, after
from runwell.ports.clock import Clock
from runwell.ports.store import Pruned, Store

LOG = logging.getLogger(__name__)

BATCH = 500
"""Events, steps or runs that are removed in one transaction."""
PAUSE = 0.01
"""Seconds between two of them, so that a long backlog does not crowd out what people wait for."""


class Retired(NamedTuple):
    """How many runs lost their log, and how many were removed."""

    logs: int
    runs: int


async def retire(
    store: Store,
    clock: Clock,
    keep_runs: float,
    keep_events: float,
    *,
    batch: int = BATCH,
    pause: float = PAUSE,
) -> Retired:
    """Prune the logs of runs that ended more than `keep_events` seconds ago, and remove those that ended
    more than `keep_runs` seconds ago; 0 is for ever, and a log goes with its run.

    If the process dies in between, what is there says what it is, and the next turn does the rest. Raises
    `StoreUnavailable`.
    """
    keeps = [keep for keep in (keep_runs, keep_events) if keep > 0]
    if not keeps:
        return Retired(0, 0)
    now, runs = clock.now(), store.runs
    logs = await _all_of(runs.prune_logs, after(now, -min(keeps)), batch, pause)
    if logs.rows:
        LOG.info("logs of ended runs pruned: %d (%d events)", logs.runs, logs.rows)
    # Only of a run without a log the rest is removed: the long part is done in slices by now.
    removed = Pruned(0, 0)
    if keep_runs > 0:
        removed = await _all_of(runs.forget, after(now, -keep_runs), batch, pause)
    if removed.runs:
        LOG.info("ended runs removed: %d", removed.runs)
    return Retired(logs.runs, removed.runs)


async def _all_of(
    prune: Callable[[Instant, int], Awaitable[Pruned]], before: Instant, batch: int, pause: float
) -> Pruned:
    """Batch after batch until nothing is left; how much there was."""
    runs = rows = 0
    while any(done := await prune(before, batch)):
        runs, rows = runs + done.runs, rows + done.rows
        await asyncio.sleep(pause)
    return Pruned(runs, rows)

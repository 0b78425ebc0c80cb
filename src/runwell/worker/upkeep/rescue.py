"""Runs whose worker is gone.

There is one judge of death. On one machine it is the start of the process: it holds the lock of the
database, so whoever is written down as working on a run is dead. In a fleet it is the job of the attempt:
its heartbeat has stopped, or there is none.
"""

import logging

from runwell.domain.commands import Lapse
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, RunNotFound, StaleRun
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.clock import Clock
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)


async def rescue_all(store: Store, clock: Clock) -> list[Run]:
    """Lapse every `running` run, see `rescue`; those that were."""
    rescued = [saved for run in await store.runs.held() if (saved := await rescue(store, clock, run))]
    if rescued:
        LOG.info("took up %d runs that a stopped server had left running", len(rescued))
    return rescued


async def rescue(store: Store, clock: Clock, run: Run) -> Run | None:
    """Lapse a `running` run: queued again, failed after its last try, or cancelled as promised.

    None when it moved by itself: it was not lost. Raises `Unavailable`.
    """
    last = await store.events.read(run.id, run.last_seq - 1, 1)
    now = clock.now()
    seen_at = last[0].at if last else now
    try:
        return await store.runs.commit(decide(run, Lapse(seen_at=seen_at), now), now)
    except (StaleRun, AttemptSuperseded, IllegalTransition, RunNotFound):
        return None

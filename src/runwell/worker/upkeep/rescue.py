"""Runs whose worker is gone.

On one machine there is one judge of death: the start of the process. It holds the lock of the
database, so whoever is written down as working on a run is dead.
"""

import logging

from runwell.domain.commands import Lapse
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, StaleRun
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.clock import Clock
from runwell.ports.store import Store

LOG = logging.getLogger(__name__)


async def rescue_all(store: Store, clock: Clock) -> list[Run]:
    """Lapse every `running` run: queued again, failed after its last try, or cancelled as promised."""
    rescued = []
    for run in await store.runs.held():
        last = await store.events.read(run.id, run.last_seq - 1, 1)
        now = clock.now()
        seen_at = last[0].at if last else now
        try:
            rescued.append(await store.runs.commit(decide(run, Lapse(seen_at=seen_at), now), now))
        except (StaleRun, AttemptSuperseded, IllegalTransition):
            continue  # it moved by itself: it was not lost
    if rescued:
        LOG.info("took up %d runs that a stopped server had left running", len(rescued))
    return rescued

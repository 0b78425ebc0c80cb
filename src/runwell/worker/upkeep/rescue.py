"""Runs whose worker is gone.

There is one judge of death. On one machine it is the start of the process: it holds the lock of the
database, so whoever is written down as working on a run is dead. In a fleet it is the job of the attempt:
its heartbeat has stopped, or there is none.
"""

import logging

from runwell.domain.commands import HandBack, Lapse
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


async def rescue(store: Store, clock: Clock, run: Run, *, by: str | None = None) -> Run | None:
    """Lapse a `running` run: queued again, failed after its last try, or cancelled as promised.

    `by`: the worker who asks. What stands under its own name was claimed by a commit whose answer was lost:
    it has not begun, so it is handed back, and no try is burnt.

    None when it moved by itself: it was not lost. Raises `Unavailable`.
    """
    last = await store.events.read(run.id, run.last_seq - 1, 1)
    now = clock.now()
    seen_at = last[0].at if last else now
    try:
        command = HandBack() if by is not None and run.worker == by else Lapse(seen_at=seen_at)
        return await store.runs.commit(decide(run, command, now), now)
    except (StaleRun, AttemptSuperseded, IllegalTransition, RunNotFound):
        return None

"""The worker: claims runs and drives their attempts, each in a task of its own."""

import asyncio
import logging
from collections import Counter

from runwell.domain.commands import Claim
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, RunNotFound, StaleRun, Unavailable
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.worker.attempt import Attempt, Desk, Ending

LOG = logging.getLogger(__name__)


class Worker:
    """Tries runs under one name. Lives on one loop; `execute` is what a dispatcher calls."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self._desk = desk
        self._attempts: dict[str, Attempt] = {}
        self._busy: Counter[str] = Counter()
        self._limits = {spec.name: spec.concurrency for spec in desk.catalog.specs}
        self._executing = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    @property
    def attempts(self) -> int:
        """How many attempts are going on."""
        return len(self._attempts)

    def takes(self) -> frozenset[str]:
        """The code agents with a free place here. Empty while shutting down."""
        if self._stopping:
            return frozenset()
        return frozenset(
            name for name, limit in self._limits.items() if limit is None or self._busy[name] < limit
        )

    def heard(self, kind: SignalKind, run_id: str) -> None:
        """A signal: a cancel request for an attempt of ours ends it."""
        if kind is SignalKind.CANCEL_REQUESTED and (attempt := self._attempts.get(run_id)) is not None:
            attempt.end(Ending.CANCELLED)

    async def execute(self, run_id: str) -> None:
        """Claim the run and drive it to the end of the attempt. Harmless if it cannot be claimed."""
        if self._stopping:
            return
        self._executing += 1
        self._idle.clear()
        try:
            run = await self._claim(run_id)
            if run is not None:
                await self._drive(run)
        except Exception:
            # A defect of ours must not take the dispatcher down; the run is found by the next start.
            LOG.exception("run_%s: the worker failed", run_id)
        finally:
            self._executing -= 1
            if not self._executing:
                self._idle.set()

    async def _claim(self, run_id: str) -> Run | None:
        try:
            run = await self._desk.store.runs.get(run_id)
            limit = self._limits.get(run.agent)
            if limit is not None and self._busy[run.agent] >= limit:
                return None  # one look found several runs of an agent that had one place left
            # Counted before the commit: another claim must not see the place as free meanwhile.
            self._busy[run.agent] += 1
            now = self._desk.clock.now()
            try:
                return await self._desk.store.runs.commit(decide(run, Claim(worker=self.name), now), now)
            except BaseException:
                self._busy[run.agent] -= 1
                raise
        except (StaleRun, AttemptSuperseded, IllegalTransition, RunNotFound):
            return None  # somebody was quicker: cancelled, expired or deleted meanwhile
        except Unavailable as error:
            LOG.warning("run_%s cannot be claimed: %s", run_id, error)
            return None

    async def _drive(self, run: Run) -> None:
        attempt = Attempt(self._desk, run)
        self._attempts[run.id] = attempt
        if self._stopping:
            attempt.end(Ending.SHUT_DOWN)
        elif run.cancel_requested_at is not None:
            attempt.end(Ending.CANCELLED)
        try:
            await attempt.drive()
        finally:
            del self._attempts[run.id]
            self._busy[run.agent] -= 1

    async def check_cancels(self) -> None:
        """Read what the signals may have lost."""
        for run_id, attempt in list(self._attempts.items()):
            run = await self._desk.store.runs.get(run_id)
            if run.cancel_requested_at is not None:
                attempt.end(Ending.CANCELLED)

    async def stop(self) -> None:
        """Hand every run back, without burning a try, and wait until all are committed."""
        self._stopping = True
        for attempt in self._attempts.values():
            attempt.end(Ending.SHUT_DOWN)
        await self._idle.wait()

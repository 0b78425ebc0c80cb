"""The worker: claims runs and drives their attempts, each in a task of its own."""

import asyncio
import logging
from collections import Counter
from enum import Enum
from typing import Any

from runwell.domain.commands import Claim
from runwell.domain.errors import AttemptSuperseded, IllegalTransition, RunNotFound, StaleRun, Unavailable
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run
from runwell.ports.dispatcher import Places
from runwell.ports.signals import SignalKind
from runwell.worker.attempt import Attempt, Desk, Ending

LOG = logging.getLogger(__name__)

STOP_PATIENCE = 5.0
"""Seconds, beyond the grace, for writing down how runs ended; a store that is away may never come back."""


class NoPlace(Enum):
    """Why a run was not claimed although it could have been."""

    LEFT = "its agent has as many runs as it may have"


class Worker:
    """Tries runs under one name. Lives on one loop; `execute` is what a dispatcher calls."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.name = name
        self._desk = desk
        self._attempts: dict[str, Attempt] = {}
        self._busy: Counter[str] = Counter()
        self._limits = {spec.name: spec.concurrency for spec in desk.catalog.specs}
        self._executing: set[asyncio.Task[Any] | None] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    @property
    def attempts(self) -> int:
        """How many attempts are going on."""
        return len(self._attempts)

    def takes(self) -> Places:
        """The agents served here, with and without a free place. None has one while shutting down."""
        if self._stopping:
            return Places(frozenset(), frozenset(self._limits))
        full = frozenset(
            name for name, limit in self._limits.items() if limit is not None and self._busy[name] >= limit
        )
        return Places(frozenset(self._limits) - full, full)

    def heard(self, kind: SignalKind, run_id: str) -> None:
        """A signal: a cancel request for an attempt of ours ends it."""
        if kind is SignalKind.CANCEL_REQUESTED and (attempt := self._attempts.get(run_id)) is not None:
            attempt.end(Ending.CANCELLED)

    async def execute(self, run_id: str) -> bool:
        """Claim the run and drive it to the end of the attempt. Harmless if it cannot be claimed.

        False when it could not, and not just because its agent has no place left.
        """
        if self._stopping:
            return False
        tried = False
        task = asyncio.current_task()
        self._executing.add(task)
        self._idle.clear()
        try:
            run = await self._claim(run_id)
            tried = run is not None
            if isinstance(run, Run):
                await self._drive(run)
        except Exception:
            # A defect of ours must not take the dispatcher down; the run is found by the next start.
            LOG.exception("run_%s: the worker failed", run_id)
        finally:
            self._executing.discard(task)
            if not self._executing:
                self._idle.set()
        return tried

    async def _claim(self, run_id: str) -> Run | NoPlace | None:
        """The claimed run; `NoPlace` when it must wait for one; None when it cannot be claimed."""
        try:
            run = await self._desk.store.runs.get(run_id)
            limit = self._limits.get(run.agent)
            if limit is not None and self._busy[run.agent] >= limit:
                return NoPlace.LEFT  # one look found several runs of an agent that had one place left
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
        """Hand every run back, without burning a try, and wait until all are committed.

        What the store does not take in time is left as a crash would leave it: the next start
        takes it up.
        """
        self._stopping = True
        for attempt in self._attempts.values():
            attempt.end(Ending.SHUT_DOWN)
        try:
            async with asyncio.timeout(self._desk.grace + STOP_PATIENCE):
                await self._idle.wait()
        except TimeoutError:
            LOG.error(
                "the store did not take the end of %d runs in time; the next start takes them up: %s",
                len(self._executing),
                ", ".join(f"run_{run_id}" for run_id in self._attempts) or "none had begun",
            )
            for task in self._executing:
                if task is not None:
                    task.cancel()
            await self._idle.wait()

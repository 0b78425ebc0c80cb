"""The worker: claims runs and drives their attempts, each in a task of its own."""

import asyncio
import logging
from collections import Counter
from enum import Enum
from typing import Any

from runwell.domain.commands import Claim, HandBack
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
    """Tries runs under one name. Lives on one loop; `execute` is what a dispatcher calls.

    `alone`: nobody else works on this database. Then the limits of agents are kept here, and a run whose
    agent is not served can only fail; in a fleet both are the dispatcher's to see to.
    """

    def __init__(self, name: str, desk: Desk, *, alone: bool = True) -> None:
        self.name = name
        self._desk = desk
        self._alone = alone
        self._attempts: dict[str, Attempt] = {}
        self._busy: Counter[str] = Counter()
        self._limits = {spec.name: spec.concurrency if alone else None for spec in desk.catalog.specs}
        self._claiming: set[str] = set()
        self._forsaken: frozenset[str] = frozenset()
        self._strayed: set[Attempt] = set()
        self._fenced = False
        self._executing: set[asyncio.Task[Any] | None] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    @property
    def attempts(self) -> int:
        """How many attempts are going on."""
        return len(self._attempts)

    def takes(self) -> Places:
        """The agents served here, with and without a free place. None has one while shutting down, nor
        while nobody hears this process."""
        if self._stopping or self._fenced:
            return Places(frozenset(), frozenset(self._limits))
        full = frozenset(
            name for name, limit in self._limits.items() if limit is not None and self._busy[name] >= limit
        )
        return Places(frozenset(self._limits) - full, full)

    def heard(self, kind: SignalKind, run_id: str) -> None:
        """A signal: a cancel request for an attempt of ours ends it."""
        if kind is SignalKind.CANCEL_REQUESTED and (attempt := self._attempts.get(run_id)) is not None:
            attempt.end(Ending.CANCELLED)

    def fence(self) -> None:
        """Nobody hears this process: stop every attempt, before others take the runs. As soon as the store
        answers they are handed back; what others have taken up by then is theirs."""
        self._fenced = True
        for attempt in self._attempts.values():
            attempt.end(Ending.SHUT_DOWN)

    def unfence(self) -> None:
        self._fenced = False

    async def execute(self, run_id: str, attempt: int | None = None) -> bool:
        """Claim the run and drive it to the end of the attempt. Harmless if it cannot be claimed. With
        `attempt`, only if it waits for that one.

        False when it could not, and not just because its agent has no place left.
        """
        if self._stopping or self._fenced:
            return False
        tried = False
        task = asyncio.current_task()
        self._executing.add(task)
        self._idle.clear()
        try:
            self._claiming.add(run_id)
            run = await self._claim(run_id, attempt)
            tried = run is not None
            if isinstance(run, Run):
                await self._drive(run)
        except Exception:
            # A defect of ours must not take the dispatcher down; the run is found by the next start.
            LOG.exception("run_%s: the worker failed", run_id)
        finally:
            self._claiming.discard(run_id)
            self._executing.discard(task)
            if not self._executing:
                self._idle.set()
        return tried

    async def _claim(self, run_id: str, attempt: int | None) -> Run | NoPlace | None:
        """The claimed run; `NoPlace` when it must wait for one; None when it cannot be claimed."""
        try:
            run = await self._desk.store.runs.get(run_id)
            if attempt is not None and run.attempt + 1 != attempt:
                return None
            if not self._alone and self._desk.catalog.find(run.agent, run.definition) is None:
                return None  # another process may serve it
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
        if (earlier := self._attempts.get(run.id)) is not None:
            # Lapsed elsewhere while this process was not heard, and come back before that one noticed.
            earlier.end(Ending.SUPERSEDED)
        self._attempts[run.id] = attempt
        if self._stopping or self._fenced:  # it became so while the claim was on its way
            attempt.end(Ending.SHUT_DOWN)
        elif run.cancel_requested_at is not None:
            attempt.end(Ending.CANCELLED)
        try:
            await attempt.drive()
        finally:
            if self._attempts[run.id] is attempt:
                del self._attempts[run.id]
            self._busy[run.agent] -= 1

    async def check(self) -> None:
        """Read what the signals may have lost: cancel requests, and that runs are others' now.

        Both sides are looked at twice, for they change while one looks. An attempt whose run does not stand
        under this name is over: another process has it. A run that does, and that nobody here works on, was
        claimed by a commit whose answer was lost: it goes back to the queue.
        """
        held = {run.id: run for run in await self._desk.store.runs.held(frozenset({self.name}))}
        strayed = set()
        for run_id, attempt in list(self._attempts.items()):
            run = held.get(run_id)
            if run is not None and run.cancel_requested_at is not None:
                attempt.end(Ending.CANCELLED)
            elif run is None:
                strayed.add(attempt)
        for attempt in strayed & self._strayed:
            attempt.end(Ending.SUPERSEDED)
        self._strayed = strayed
        forsaken = frozenset(held.keys() - self._attempts.keys() - self._claiming)
        for run_id in forsaken & self._forsaken:
            await self._hand_back(held[run_id])
        self._forsaken = forsaken

    async def _hand_back(self, run: Run) -> None:
        now = self._desk.clock.now()
        try:
            await self._desk.store.runs.commit(decide(run, HandBack(), now), now)
        except (StaleRun, AttemptSuperseded, IllegalTransition, RunNotFound):
            return  # it has moved on by itself
        LOG.warning("run_%s was claimed here, and nobody knew: it is handed back", run.id)

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

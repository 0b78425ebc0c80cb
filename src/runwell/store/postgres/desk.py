"""Writing: what concerns one run or one thread in the order it was asked for, and telling everybody."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from runwell.domain.run import Run
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added
from runwell.store.postgres.adding import AddRun
from runwell.store.postgres.committing import CommitChange
from runwell.store.postgres.grouping import Grouping
from runwell.store.postgres.offers import Enlist
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.pool import Work as Writing
from runwell.store.postgres.together import Outcome, Work
from runwell.store.postgres.turns import Turn, Turns

T = TypeVar("T")
Publish = Callable[[SignalKind, str], None]


class Desk:
    """Where the writes of one event loop are handed in. `enlist`: see `offers`."""

    def __init__(self, pool: Pool, publish: Publish | None, enlist: Enlist | None) -> None:
        self._pool = pool
        self._publish = publish
        self.enlist = enlist
        self._turns = Turns()
        self._grouping = Grouping(pool, self._told, enlist)

    async def write(self, work: Writing[T], about: str | None = None) -> T:
        """Do `work` in one transaction; durable when it returns.

        Writes `about` the same id take turns here, before they take connections: those of one process
        happen in the order they were asked for, and a crowd that wants one row does not use up the pool.
        """
        if about is None:
            return await self._pool.write(work, self._told)
        turn = await self._turns.take(about)
        try:
            return await self._pool.write(work, self._told)
        finally:
            turn.end()

    async def add(self, work: AddRun, thread_id: str | None) -> Added:
        """Write a new run; with others in one transaction if that can be."""
        if work.alone:
            return await self.write(work, thread_id)
        outcome = await self._grouped(work, None)
        return outcome if isinstance(outcome, Added) else await self.write(work)

    async def commit(self, work: CommitChange, run_id: str) -> Run:
        """Write a change of a run; with others in one transaction if that can be."""
        if work.alone:
            return await self.write(work, run_id)
        turn = await self._turns.take(run_id)
        try:
            outcome = await self._grouped(work, turn)
            return outcome if isinstance(outcome, Run) else await self._pool.write(work, self._told)
        finally:
            turn.end()

    async def _grouped(self, work: Work, turn: Turn | None) -> Outcome:
        job = self._grouping.hand_in(work)
        try:
            return await job.answer
        except asyncio.CancelledError:
            if turn is not None and job.group is not None:
                # It may be written yet: whoever comes next waits until that is over.
                turn.hold()
                job.group.add_done_callback(lambda _: turn.end())
            raise

    def _told(self, transaction: Transaction) -> None:
        if self._publish is not None:
            for kind, run_id in transaction.signals:
                self._publish(kind, run_id)

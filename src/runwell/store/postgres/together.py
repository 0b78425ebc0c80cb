"""New runs and changes of runs in one transaction, each judged by itself.

Only those that need no lock but their run's row (`alone` is false). A row that somebody else has is
passed over rather than waited for: so two such transactions never wait in a circle, and nobody waits for
what a stranger does to another run.
"""

from collections.abc import Sequence
from typing import Any

from runwell.domain.errors import RunwellError
from runwell.domain.run import Run
from runwell.ports.store import Added
from runwell.store.postgres.adding import AddRun, Made
from runwell.store.postgres.committing import GUARDS, CommitChange, Head
from runwell.store.postgres.offers import Enlist
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.step_rows import project
from runwell.store.postgres.telling import put_out

Work = AddRun | CommitChange
Outcome = Run | Added | RunwellError | None
"""What it has become, why it is refused, or None: it has to be done by itself."""

_LOCK = f"""SELECT id, {GUARDS} FROM runs WHERE id = ANY($1::bytea[])
FOR NO KEY UPDATE SKIP LOCKED"""


class WriteTogether:
    """`works` are about as many different runs. May be done again on another transaction."""

    def __init__(self, works: Sequence[Work], enlist: Enlist | None) -> None:
        self._adds = [(place, work) for place, work in enumerate(works) if isinstance(work, AddRun)]
        self._changes = [(place, work) for place, work in enumerate(works) if isinstance(work, CommitChange)]
        self._count = len(works)
        self._enlist = enlist

    async def __call__(self, transaction: Transaction) -> list[Outcome]:
        """The outcome of each, in their order."""
        outcomes: list[Outcome] = [None] * self._count
        await self._add(transaction, outcomes)
        allowed = await self._lock(transaction, outcomes)
        await self._change(transaction, allowed, outcomes)
        done: dict[int, Work] = {**dict(self._adds), **dict(allowed)}
        offers = [offer for _, work in sorted(done.items()) if (offer := work.offer()) is not None]
        if self._enlist is not None and offers:
            await self._enlist(transaction.connection, offers)
        return outcomes

    async def _add(self, transaction: Transaction, outcomes: list[Outcome]) -> None:
        answers = await _write(transaction, [work for _, work in self._adds])
        rows = []
        for (place, work), answer in zip(self._adds, answers, strict=True):
            made = Made(*answer)
            transaction.xid = made.xid
            transaction.tell(*work.signals)
            rows += work.deliveries(made)
            outcomes[place] = work.added()
        await put_out(transaction, rows)

    async def _lock(
        self, transaction: Transaction, outcomes: list[Outcome]
    ) -> list[tuple[int, CommitChange]]:
        """The changes that may be made, their rows locked: until the commit nothing can refuse them."""
        if not self._changes:
            return []
        found = await transaction.all(_LOCK, [work.id for _, work in self._changes])
        guards = {id: row for id, *row in found}
        allowed = []
        for place, work in self._changes:
            row = guards.get(work.id)
            if row is None:
                continue  # somebody has it, or it is not there: that takes another look
            try:
                work.refuse(row)
            except RunwellError as refusal:
                outcomes[place] = refusal
            else:
                allowed.append((place, work))
        return allowed

    async def _change(
        self, transaction: Transaction, allowed: Sequence[tuple[int, CommitChange]], outcomes: list[Outcome]
    ) -> None:
        answers = await _write(transaction, [work for _, work in allowed])
        rows, steps = [], []
        for (place, work), answer in zip(allowed, answers, strict=True):
            head = Head(*answer)
            transaction.xid = head.xid
            transaction.tell(*work.signals)
            steps.append(work.projections(head))
            rows += work.deliveries(head)
            outcomes[place] = work.stored(head)
        await project(transaction, steps)
        await put_out(transaction, rows)


async def _write(transaction: Transaction, works: Sequence[Work]) -> list[Any]:
    """The answer to each one's statement, in their order. Those with the same statement go together."""
    statements: dict[str, list[tuple[int, tuple[Any, ...]]]] = {}
    for place, work in enumerate(works):
        sql, values = work.statement()
        statements.setdefault(sql, []).append((place, values))
    answers: list[Any] = [None] * len(works)
    for sql, asked in statements.items():
        found = await transaction.each(sql, [values for _, values in asked])
        for (place, _), answer in zip(asked, found, strict=True):
            answers[place] = answer
    return answers

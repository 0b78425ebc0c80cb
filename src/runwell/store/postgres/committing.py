"""Writing a change of a run: the guards, the numbers, the row, the log, the steps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from runwell.domain.errors import (
    AttemptSuperseded,
    NotItsTurn,
    RunNotFound,
    StaleRun,
    StoreUnavailable,
    TooLarge,
)
from runwell.domain.events import SCHEMA_VERSION, encode_event
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run, RunStatus
from runwell.ports.signals import SignalKind
from runwell.ports.store import NewMessage
from runwell.store.postgres.messages import append_message, lock_thread
from runwell.store.postgres.offers import Enlist, Offer, offer, own_offer, take_key
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.rows import MAX_SEQ, RECORDED, STANDING, UPDATED, record_values, update_values
from runwell.store.postgres.step_rows import Projection, project, projections
from runwell.store.postgres.telling import deliveries, put_out, told
from runwell.store.rows import EVENT_KINDS


def _statement(columns: Sequence[str], guard: str = "") -> str:
    """One statement that guards, numbers and writes the row and the log.

    Under READ COMMITTED the UPDATE waits for whoever has the row, then looks at the guards again in the
    row as that one left it: of two that decided on the same version one finds nothing to update.
    """
    sets = "".join(
        f", {column} = coalesce(${number}, cancel_requested_at)"
        if column == "cancel_requested_at"
        else f", {column} = ${number}"
        for number, column in enumerate(columns, 9)
    )
    version = ", version = version + 1" if columns else ""
    return f"""WITH head AS (
    UPDATE runs SET last_seq = last_seq + $4{version}{sets}
    WHERE id = $1 AND ($2::bigint IS NULL OR (status = 'running' AND attempt = $2))
        AND ($3::bigint IS NULL OR version = $3) AND last_seq + $4 <= {MAX_SEQ}{guard}
    RETURNING pk, version, last_seq, cancel_requested_at, created_at
), logged AS (
    INSERT INTO events (run_pk, seq, kind, schema_version, at, data)
    SELECT head.pk, head.last_seq - $4 + line.place, line.kind, {SCHEMA_VERSION},
        $5 - head.created_at, line.data
    FROM head CROSS JOIN unnest($6::smallint[], $7::bytea[]) WITH ORDINALITY AS line (kind, data, place)
)
SELECT pk, version, last_seq, cancel_requested_at, pg_current_xact_id()::text,
    {STANDING.format(owner="$8::text")}
FROM head"""


_SAY = _statement(())
_RECORD = _statement(RECORDED)
_MOVE = _statement(UPDATED)
_CLAIM = _statement(UPDATED, " AND behind = 0")

GUARDS = "version, last_seq, attempt, status, behind"
"""The columns that `CommitChange.refuse` looks at."""

_GUARDED = f"SELECT {GUARDS} FROM runs WHERE id = $1"
_GUARDED_AND_LOCKED = f"{_GUARDED} FOR UPDATE"

# Thread order: when a run has ended, the first that is still live in its thread is behind nobody.
_LET_GO = """UPDATE runs SET behind = 0 WHERE behind = 1 AND pk = (
    SELECT pk FROM runs WHERE thread_id = $1 AND status IN ('queued', 'running', 'waiting')
    ORDER BY pk LIMIT 1
) RETURNING id"""

# What these do to a run under a key changes nothing for the others under it.
_KEEPS_ITS_KEY = frozenset({"record", "ask_cancel"})


class Head(NamedTuple):
    """The answer of the statement: the row as it has left it, the transaction, the owner's callbacks."""

    pk: int
    version: int
    last_seq: int
    cancel_requested_at: Instant | None
    xid: str
    standing: list[bytes]


class CommitChange:
    """`Runs.commit`, on a transaction; may be done again on another one."""

    def __init__(
        self, change: Change, now: Instant, message: NewMessage | None, enlist: Enlist | None
    ) -> None:
        self._change = change
        self._now = now
        self._message = message
        self._enlist = enlist
        self._kinds = [EVENT_KINDS[event.type] for event in change.events]
        self._data = [encode_event(event) for event in change.events]
        self._told = told(change.events)
        self.id = bytes.fromhex(change.run.id)
        self.size = 256 + sum(map(len, self._data))
        """About how many bytes it writes."""
        self.signals = _signals(change)

    @property
    def alone(self) -> bool:
        """Whether it needs more locks than its run's row."""
        change = self._change
        key = change.run.concurrency_key
        return self.thread_id is not None or (key is not None and change.command not in _KEEPS_ITS_KEY)

    @property
    def thread_id(self) -> str | None:
        """The thread whose row is to be locked first: the run's, if something in it changes."""
        run = self._change.run
        return run.thread_id if run.final or self._message is not None else None

    async def __call__(self, transaction: Transaction) -> Run:
        thread = None
        if self.thread_id is not None:
            thread = await lock_thread(transaction, bytes.fromhex(self.thread_id))
        return await self.apply(transaction, None if thread is None else thread.pk)

    async def apply(self, transaction: Transaction, thread_pk: int | None) -> Run:
        """Write it; the thread is locked. Raises what `Runs.commit` raises."""
        change, now = self._change, self._now
        head = await self._write(transaction)
        if change.command == "claim":
            await take_key(transaction, change.run)
        await project(transaction, [self.projections(head)])
        if self._message is not None and thread_pk is not None:
            await append_message(transaction, thread_pk, self._message, now, change.run.id)
        let_go: list[bytes] = []
        if change.visible and change.run.final and change.run.thread_id is not None:
            rows = await transaction.all(_LET_GO, bytes.fromhex(change.run.thread_id))
            let_go = [id for (id,) in rows]
        transaction.tell(*self.signals)
        await put_out(transaction, self.deliveries(head))
        await offer(transaction, self._enlist, change, let_go, now)
        return self.stored(head)

    def projections(self, head: Head) -> list[Projection]:
        change = self._change
        return projections(head.pk, self._before(head), change.events, change.run.attempt, self._now)

    def deliveries(self, head: Head) -> list[tuple[Any, ...]]:
        return deliveries(self._change.run, head.standing, self._told, self._before(head), self._now)

    def offer(self) -> Offer | None:
        """Who may start because of it, if it needs no more locks than its run's row: none but the run
        itself, which was at work and so is behind nobody."""
        return own_offer(self._change.run)

    def stored(self, head: Head) -> Run:
        return replace(
            self._change.run, version=head.version, last_seq=head.last_seq,
            cancel_requested_at=head.cancel_requested_at,
        )  # fmt: skip

    def _before(self, head: Head) -> int:
        return head.last_seq - len(self._data)

    async def guard(self, transaction: Transaction) -> None:
        """Refuse it before anything is written, and keep the row from changing until then."""
        self.refuse(await transaction.one(_GUARDED_AND_LOCKED, self.id))

    async def _write(self, transaction: Transaction) -> Head:
        sql, values = self.statement()
        for _ in range(3):
            row = await transaction.one(sql, *values)
            if row is not None:
                head = Head(*row)
                transaction.xid = head.xid
                return head
            # What refused it refuses it for ever: versions and attempts only grow. Except that a run may
            # have been added, or come to be the first of its thread, between the two.
            self.refuse(await transaction.one(_GUARDED, self.id))
        raise StoreUnavailable(f"run_{self._change.run.id} cannot be written", "Try again.")

    def statement(self) -> tuple[str, tuple[Any, ...]]:
        """The statement that writes row and log, and its values. Its answer is a `Head`, or nothing."""
        change = self._change
        if not change.visible:
            return _SAY, self._values()
        if change.command == "record":
            return _RECORD, self._values(*record_values(change.run))
        moved = update_values(change.run, change.run.cancel_requested_at)
        return _CLAIM if change.command == "claim" else _MOVE, self._values(*moved)

    def _values(self, *columns: Any) -> tuple[Any, ...]:
        change = self._change
        return (
            self.id, change.attempt, change.seen_version, len(self._data), self._now, self._kinds,
            self._data, change.run.owner if self._told else None, *columns,
        )  # fmt: skip

    def refuse(self, row: Any) -> None:
        """Raise what stands in the way, as `GUARDS` of the row say. The fence is looked at first."""
        change = self._change
        if row is None:
            raise RunNotFound(change.run.id)
        version, last_seq, attempt, status, behind = row
        if change.attempt is not None and not (
            status == RunStatus.RUNNING.value and attempt == change.attempt
        ):
            raise AttemptSuperseded(change.run.id, change.attempt)
        if change.seen_version is not None and version != change.seen_version:
            raise StaleRun(change.run.id)
        if last_seq + len(self._data) > MAX_SEQ:
            raise TooLarge(f"The log of run_{change.run.id} is full", "Start another run to go on from here.")
        if change.command == "claim" and behind:
            raise NotItsTurn(change.run.id)


def _signals(change: Change) -> tuple[tuple[SignalKind, str], ...]:
    run = change.run
    changed = (SignalKind.CHANGED, run.id)
    if run.status is RunStatus.RUNNING:
        if change.command == "ask_cancel":
            return (changed, (SignalKind.CANCEL_REQUESTED, run.id))
        return (changed,)
    # Queued again, or out of the way of another run of its thread or key.
    if run.status is RunStatus.QUEUED or run.thread_id is not None or run.concurrency_key is not None:
        return (changed, (SignalKind.QUEUED, run.id))
    return (changed,)

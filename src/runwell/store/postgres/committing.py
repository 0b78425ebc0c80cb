"""Writing a change of a run: the guards, the numbers, the row, the log, the steps."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from runwell.domain.errors import AttemptSuperseded, RunNotFound, StaleRun, StoreUnavailable, TooLarge
from runwell.domain.events import (
    SCHEMA_VERSION,
    StepFailed,
    StepFinished,
    StepStarted,
    UsageCounted,
    encode_event,
)
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run, RunStatus
from runwell.ports.signals import SignalKind
from runwell.ports.store import NewMessage
from runwell.store.postgres.messages import append_message, lock_thread
from runwell.store.postgres.offers import Enlist, offer
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.rows import MAX_SEQ, RECORDED, STANDING, UPDATED, record_values, update_values
from runwell.store.postgres.step_rows import project_step
from runwell.store.postgres.telling import tell, told
from runwell.store.sqlite.rows import EVENT_KINDS


def _statement(columns: Sequence[str]) -> str:
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
        AND ($3::bigint IS NULL OR version = $3) AND last_seq + $4 <= {MAX_SEQ}
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

_GUARDED = "SELECT version, last_seq, attempt, status FROM runs WHERE id = $1"
_GUARDED_AND_LOCKED = f"{_GUARDED} FOR UPDATE"

# Thread order: when a run has ended, the first that is still live in its thread is behind nobody.
_LET_GO = """UPDATE runs SET behind = 0 WHERE behind = 1 AND pk = (
    SELECT pk FROM runs WHERE thread_id = $1 AND status IN ('queued', 'running', 'waiting')
    ORDER BY pk LIMIT 1
) RETURNING id"""

_PROJECTED = (StepStarted, StepFinished, StepFailed, UsageCounted)


class _Head(NamedTuple):
    """The row as the commit has left it, and the owner's callbacks."""

    pk: int
    version: int
    last_seq: int
    cancel_requested_at: Instant | None
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
        before = head.last_seq - len(change.events)
        for seq, event in enumerate(change.events, before + 1):
            if isinstance(event, _PROJECTED):
                await project_step(transaction, head.pk, seq, event, change.run.attempt, now)
        if self._message is not None and thread_pk is not None:
            await append_message(transaction, thread_pk, self._message, now, change.run.id)
        let_go: list[bytes] = []
        if change.visible and change.run.final and change.run.thread_id is not None:
            rows = await transaction.all(_LET_GO, bytes.fromhex(change.run.thread_id))
            let_go = [id for (id,) in rows]
        transaction.tell(*_signals(change))
        if self._told:
            await tell(transaction, change.run, head.standing, self._told, before, now)
        await offer(transaction, self._enlist, change, let_go, now)
        return replace(
            change.run, version=head.version, last_seq=head.last_seq,
            cancel_requested_at=head.cancel_requested_at,
        )  # fmt: skip

    async def guard(self, transaction: Transaction) -> None:
        """Refuse it before anything is written, and keep the row from changing until then."""
        self._refuse(await transaction.one(_GUARDED_AND_LOCKED, bytes.fromhex(self._change.run.id)))

    async def _write(self, transaction: Transaction) -> _Head:
        change = self._change
        sql, values = self._statement()
        id = bytes.fromhex(change.run.id)
        for _ in range(3):
            row = await transaction.one(
                sql, id, change.attempt, change.seen_version, len(self._data), self._now, self._kinds,
                self._data, change.run.owner if self._told else None, *values,
            )  # fmt: skip
            if row is not None:
                pk, version, last_seq, cancel_requested_at, transaction.xid, standing = row
                return _Head(pk, version, last_seq, cancel_requested_at, standing)
            # What refused it refuses it for ever: versions and attempts only grow. Except that a run may
            # have been added between the two.
            self._refuse(await transaction.one(_GUARDED, id))
        raise StoreUnavailable(f"run_{change.run.id} cannot be written", "Try again.")

    def _statement(self) -> tuple[str, tuple[Any, ...]]:
        change = self._change
        if not change.visible:
            return _SAY, ()
        if change.command == "record":
            return _RECORD, record_values(change.run)
        return _MOVE, update_values(change.run, change.run.cancel_requested_at)

    def _refuse(self, row: Any) -> None:
        """Raise what stands in the way. The fence is looked at first."""
        change = self._change
        if row is None:
            raise RunNotFound(change.run.id)
        version, last_seq, attempt, status = row
        if change.attempt is not None and not (
            status == RunStatus.RUNNING.value and attempt == change.attempt
        ):
            raise AttemptSuperseded(change.run.id, change.attempt)
        if change.seen_version is not None and version != change.seen_version:
            raise StaleRun(change.run.id)
        if last_seq + len(self._data) > MAX_SEQ:
            raise TooLarge(f"The log of run_{change.run.id} is full", "Start another run to go on from here.")


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

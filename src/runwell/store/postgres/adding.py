"""Writing a new run, with everything that comes with it."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from runwell.domain.errors import IdempotencyMismatch, ThreadBusy, ThreadNotFound
from runwell.domain.events import SCHEMA_VERSION, RunCreated, encode_event
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run
from runwell.domain.step import StepStatus
from runwell.domain.thread import IfBusy
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added, Idempotency, NewMessage
from runwell.store.postgres.committing import CommitChange
from runwell.store.postgres.messages import (
    Held,
    NewThread,
    append_message,
    lock_threads,
    make_or_lock,
)
from runwell.store.postgres.offers import Enlist, Offer, offer_added, own_offer
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import RUN_FIELDS, STANDING, insert_values, marks, run_of, step_digest
from runwell.store.postgres.telling import deliveries, put_out, told
from runwell.store.rows import EVENT_KINDS

# Waits for whoever has used the key and not committed yet.
_TAKE_KEY = """INSERT INTO idempotency (owner, scope, key, fingerprint, run_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (owner, scope, key) DO NOTHING RETURNING run_id"""
_LOCK_KEY = """SELECT fingerprint, run_id FROM idempotency
WHERE owner = $1 AND scope = $2 AND key = $3 FOR UPDATE"""
_RETAKE_KEY = """UPDATE idempotency SET fingerprint = $4, run_id = $5, created_at = $6
WHERE owner = $1 AND scope = $2 AND key = $3"""
_GET = f"SELECT {RUN_FIELDS} FROM runs WHERE id = $1"
_FIND_KEY = """SELECT idempotency.fingerprint, idempotency.run_id FROM idempotency
JOIN runs ON runs.id = idempotency.run_id
WHERE idempotency.owner = $1 AND idempotency.scope = $2 AND idempotency.key = $3"""
_FIND_LIVE = """SELECT id FROM runs
WHERE thread_id = $1 AND status IN ('queued', 'running', 'waiting') ORDER BY pk LIMIT 1"""

_WIDTH = RUN_FIELDS.count(",") + 1
_ADD = f"""WITH made AS (
    INSERT INTO runs ({RUN_FIELDS}, behind) VALUES ({marks(1, _WIDTH + 1)}) RETURNING pk
), logged AS (
    INSERT INTO events (run_pk, seq, kind, schema_version, at, data)
    SELECT made.pk, line.place, line.kind, {SCHEMA_VERSION}, ${_WIDTH + 2}::bigint - $6, line.data
    FROM made CROSS JOIN unnest(${_WIDTH + 3}::smallint[], ${_WIDTH + 4}::bytea[])
        WITH ORDINALITY AS line (kind, data, place)
)
SELECT pk, pg_current_xact_id()::text, {STANDING.format(owner="$2")} FROM made"""
"""$6 is `created_at`, $2 the owner."""
_INHERIT = """INSERT INTO steps
    (run_pk, digest, key, first_seq, name, kind, parent, status, attempt, started_at, finished_at,
    ended_seq, inherited)
VALUES ($1, $2, $3, 1, $4, $5, $6, $7, 0, $8, $8, 1, 1)"""


class Made(NamedTuple):
    """The answer of the statement that writes the run: its row, the transaction, the owner's callbacks."""

    pk: int
    xid: str
    standing: list[bytes]


class AddRun:
    """`Runs.add`, on a transaction; may be done again on another one."""

    def __init__(
        self,
        change: Change,
        now: Instant,
        if_busy: IfBusy,
        message: NewMessage | None,
        idempotency: Idempotency | None,
        ending: CommitChange | None,
        enlist: Enlist | None,
    ) -> None:
        # The store counts the numbers: a new run's log ends with what is written here.
        self._run = replace(change.run, last_seq=len(change.events))
        self._now = now
        self._if_busy = if_busy
        self._message = message
        self._idempotency = idempotency
        self._ending = ending
        self._enlist = enlist
        self._told = told(change.events)
        self._values = insert_values(self._run)
        self._kinds = [EVENT_KINDS[event.type] for event in change.events]
        self._data = [encode_event(event) for event in change.events]
        self._inherited = tuple(
            step for event in change.events if isinstance(event, RunCreated) for step in event.steps
        )
        self.size = 512 + sum(map(len, self._data))
        """About how many bytes it writes."""
        self.signals = ((SignalKind.CHANGED, self._run.id), (SignalKind.QUEUED, self._run.id))

    @property
    def alone(self) -> bool:
        """Whether it needs locks, or writes more than its row and its log."""
        run = self._run
        return (
            run.thread_id is not None
            or run.concurrency_key is not None
            or self._idempotency is not None
            or self._ending is not None
            or bool(self._inherited)
        )

    async def __call__(self, transaction: Transaction) -> Added:
        run, now = self._run, self._now
        if self._idempotency is not None and (earlier := await self._earlier(transaction)) is not None:
            return Added(earlier, True)
        thread = await self._lock(transaction)
        behind = run.in_order and thread is not None and not thread.made
        if behind:
            behind = await self._live(transaction) is not None
        sql, values = self.statement(behind)
        made = Made(*await transaction.connection.fetchrow(sql, *values))
        transaction.xid = made.xid
        await self._inherit(transaction, made.pk)
        if thread is not None and self._message is not None:
            await append_message(transaction, thread.pk, self._message, now, run.id)
        # Before those of the ending, which were told first while it was written.
        ended, transaction.signals = transaction.signals, {}
        transaction.tell(*self.signals)
        await put_out(transaction, self.deliveries(made))
        transaction.tell(*ended)
        await offer_added(transaction, self._enlist, run, behind, now)
        return self.added()

    def statement(self, behind: bool = False) -> tuple[str, tuple[Any, ...]]:
        """The statement that writes row and log, and its values. Its answer is `Made`."""
        return _ADD, (*self._values, 1 if behind else 0, self._now, self._kinds, self._data)

    def deliveries(self, made: Made) -> list[tuple[Any, ...]]:
        return deliveries(self._run, made.standing, self._told, 0, self._now)

    def offer(self) -> Offer | None:
        """Its own, if it is in no thread and under no key."""
        return own_offer(self._run)

    def added(self) -> Added:
        return Added(self._run, False)

    async def _lock(self, transaction: Transaction) -> Held | None:
        """Take the locks in their order, refuse what is to be refused, then end what is to be ended.
        The run's thread."""
        run, ending = self._run, self._ending
        others = [ending.thread_id] if ending is not None else []
        smaller = [id for id in others if id is not None and (run.thread_id is None or id < run.thread_id)]
        await lock_threads(transaction, smaller)
        thread = None
        if run.thread_id is not None:
            new = NewThread(bytes.fromhex(run.thread_id), run.owner, self._now)
            thread = await make_or_lock(transaction, new)
        await lock_threads(transaction, others)
        if ending is not None:
            await ending.guard(transaction)
        if thread is not None:
            await self._check(transaction, thread)
        if ending is not None:
            await ending.apply(transaction, None)
        return thread

    async def _check(self, transaction: Transaction, thread: Held) -> None:
        thread_id = self._run.thread_id or ""
        if thread.owner != self._run.owner:
            raise ThreadNotFound(thread_id)
        if self._if_busy is IfBusy.REFUSE and not thread.made:
            live = await self._live(transaction)
            if live is not None:
                raise ThreadBusy(thread_id, live)

    async def _earlier(self, transaction: Transaction) -> Run | None:
        """Take the idempotency key, or the run it was used for before, as it is now.

        Each look is a statement of its own: one that waited for a lock still sees, in other tables, what
        was there before it waited.
        """
        run, asked = self._run, self._idempotency
        if asked is None:
            return None
        key = (run.owner, asked.scope, asked.key)
        mine = (asked.fingerprint, bytes.fromhex(run.id), self._now)
        while await transaction.one(_TAKE_KEY, *key, *mine) is None:
            found = await transaction.one(_LOCK_KEY, *key)
            if found is None:
                continue  # it was forgotten between the two
            row = await transaction.one(_GET, found[1])
            if row is not None:
                _same_request(found, asked)
                return run_of(row)
            # The key of a run that was deleted since is free again.
            await transaction.run(_RETAKE_KEY, *key, *mine)
            break
        return None

    async def _live(self, transaction: Transaction) -> str | None:
        """The first live run of the thread."""
        found = await transaction.one(_FIND_LIVE, bytes.fromhex(self._run.thread_id or ""))
        return None if found is None else str(found[0].hex())

    async def _inherit(self, transaction: Transaction, pk: int) -> None:
        """Steps that an earlier run finished; their outputs stay in event 1."""
        rows = [
            (
                pk, step_digest(step.key), step.key, step.name, step.kind.value, step.parent,
                StepStatus.FINISHED.value, self._now,
            )
            for step in self._inherited
        ]  # fmt: skip
        await transaction.many(_INHERIT, rows)


async def find_earlier(pool: Pool, owner: str, asked: Idempotency) -> str | None:
    """The id of the run this key was used for before. Raises `IdempotencyMismatch`."""
    found = await pool.one(_FIND_KEY, owner, asked.scope, asked.key)
    if found is None:
        return None
    _same_request(found, asked)
    return str(found[1].hex())


def _same_request(found: Any, asked: Idempotency) -> None:
    """Raises `IdempotencyMismatch` when the key was used with another body."""
    fingerprint, run_id = found
    if fingerprint != asked.fingerprint:
        raise IdempotencyMismatch(asked.key, run_id.hex())

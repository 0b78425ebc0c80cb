"""Writing a new run, with everything that comes with it."""

from msgspec.structs import replace

from runwell.domain.errors import IdempotencyMismatch, ThreadBusy, ThreadNotFound
from runwell.domain.events import LoggedEvent, RunCreated, encode_event
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run
from runwell.domain.step import StepStatus
from runwell.domain.thread import IfBusy
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added, Idempotency, NewMessage
from runwell.store.sqlite.committing import CommitChange
from runwell.store.sqlite.kept import LARGEST_KEPT
from runwell.store.sqlite.messages import NewThread, append_message, insert_thread
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import EVENT_KINDS, INSERT_RUN, RUN_FIELDS, Row, insert_values, run_of
from runwell.store.sqlite.telling import tell, told
from runwell.store.sqlite.transaction import Head, Job, Transaction

_FIND_KEY = """SELECT idempotency.fingerprint, idempotency.run_id, runs.pk FROM idempotency
LEFT JOIN runs ON runs.id = idempotency.run_id
WHERE idempotency.owner = ? AND idempotency.scope = ? AND idempotency.key = ?"""
_GET_BY_PK = f"SELECT {RUN_FIELDS} FROM runs WHERE pk = ?"
# Replaces: the key of a run that was deleted since is free again.
_INSERT_KEY = """INSERT OR REPLACE INTO idempotency (owner, scope, key, fingerprint, run_id, created_at)
VALUES (?, ?, ?, ?, ?, ?)"""
_FIND_THREAD = "SELECT pk, owner FROM threads WHERE id = ?"
_FIND_LIVE = """SELECT id FROM runs
WHERE thread_id = ? AND status IN ('queued', 'running', 'waiting') ORDER BY pk LIMIT 1"""
_INSERT_STEP = """INSERT INTO steps
    (run_pk, key, first_seq, name, kind, parent, status, attempt, started_at, finished_at, ended_seq,
    inherited)
VALUES (?, ?, 1, ?, ?, ?, ?, 0, ?, ?, 1, 1)"""


class AddRun(Job[Added]):
    """`Runs.add`."""

    def __init__(
        self,
        change: Change,
        now: Instant,
        if_busy: IfBusy,
        message: NewMessage | None,
        idempotency: Idempotency | None,
        ending: CommitChange | None = None,
    ) -> None:
        # The store counts the numbers: a new run's log ends with what is written here.
        self._run = replace(change.run, last_seq=len(change.events))
        self._now = now
        self._if_busy = if_busy
        self._message = message
        self._idempotency = idempotency
        self._ending = ending
        self._told = told(change.events)
        self._values = insert_values(self._run)
        self._encoded = [(EVENT_KINDS[event.type], encode_event(event)) for event in change.events]
        self._inherited = tuple(
            step for event in change.events if isinstance(event, RunCreated) for step in event.steps
        )
        self.size = 512 + sum(len(data) for _, data in self._encoded)
        if self.size <= LARGEST_KEPT:
            self.first_event = LoggedEvent(1, now, change.events[0].type, self._encoded[0][1])

    def run(self, transaction: Transaction) -> Added:
        run, now = self._run, self._now
        if self._idempotency is not None and (earlier := self._earlier(transaction, self._idempotency)):
            # What this one would have begun with is not how that one began.
            self.signals, self.first_event = (), None
            return Added(earlier, True)
        ended = self._ending.guard(transaction) if self._ending is not None else None
        thread = self._thread(transaction) if run.thread_id is not None else None
        # Nothing has been written so far, and nothing below refuses.
        if self._ending is not None and ended is not None:
            self._ending.apply(transaction, ended)
        behind = run.in_order and isinstance(thread, int) and self._live(transaction) is not None
        transaction.run(INSERT_RUN, (*self._values, 1 if behind else 0))
        pk = transaction.db.last_insert_rowid()
        head = Head(pk, run.version, 0, run.attempt, 0, None, run.created_at)
        transaction.heads[run.id] = head
        transaction.append(head, self._encoded, now)
        self._inherit(transaction, head)
        if thread is not None:
            thread_pk = thread if isinstance(thread, int) else insert_thread(transaction, thread)
            if self._message is not None:
                append_message(transaction, thread_pk, self._message, now, run.id)
        if self._idempotency is not None:
            scope, key, fingerprint = self._idempotency
            values = (run.owner, scope, key, fingerprint, bytes.fromhex(run.id), now)
            transaction.run(_INSERT_KEY, values)
        self.signals = (
            (SignalKind.CHANGED, run.id),
            (SignalKind.QUEUED, run.id),
            *tell(transaction, run, self._told, 0, now),
            *(self._ending.signals if self._ending is not None else ()),
        )
        return Added(run, False)

    def _earlier(self, transaction: Transaction, asked: Idempotency) -> Run | None:
        """The run this key was used for before, as it is now."""
        found = transaction.one(_FIND_KEY, (self._run.owner, asked.scope, asked.key))
        if found is None or found[2] is None:
            return None
        _, _, pk = _same_request(found, asked)
        transaction.flush()  # it may have been added a moment ago, in this very transaction
        row = transaction.one(_GET_BY_PK, (pk,))
        return None if row is None else run_of(row)

    def _thread(self, transaction: Transaction) -> int | NewThread:
        """The thread's pk, or what to make; refuses before anything is written."""
        thread_id = self._run.thread_id or ""
        id = bytes.fromhex(thread_id)
        found = transaction.one(_FIND_THREAD, (id,))
        if found is None:
            return NewThread(id, self._run.owner, self._now)
        pk, owner = found
        if owner != self._run.owner:
            raise ThreadNotFound(thread_id)
        if self._if_busy is IfBusy.REFUSE:
            live = self._live(transaction)
            if live is not None:
                raise ThreadBusy(thread_id, live)
        return int(pk)

    def _live(self, transaction: Transaction) -> str | None:
        """The first live run of the thread."""
        found = transaction.one(_FIND_LIVE, (bytes.fromhex(self._run.thread_id or ""),))
        return None if found is None else str(found[0].hex())

    def _inherit(self, transaction: Transaction, head: Head) -> None:
        """Steps that an earlier run finished; their outputs stay in event 1."""
        status, now = StepStatus.FINISHED.value, self._now
        for step in self._inherited:
            values = (head.pk, step.key, step.name, step.kind.value, step.parent, status, now, now)
            transaction.run(_INSERT_STEP, values)


def find_earlier(reader: Reader, owner: str, asked: Idempotency) -> str | None:
    """The id of the run this key was used for before. Raises `IdempotencyMismatch`."""
    found = reader.one(_FIND_KEY, (owner, asked.scope, asked.key))
    if found is None or found[2] is None:
        return None
    _, run_id, _ = _same_request(found, asked)
    return str(run_id.hex())


def _same_request(found: Row, asked: Idempotency) -> Row:
    """A row of `_FIND_KEY`, if it is of a request with this body. Raises `IdempotencyMismatch`."""
    fingerprint, run_id, _ = found
    if fingerprint != asked.fingerprint:
        raise IdempotencyMismatch(asked.key, run_id.hex())
    return found

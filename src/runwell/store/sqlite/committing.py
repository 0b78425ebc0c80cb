"""Writing a change of a run: the guards, the numbers, the row, the log, the steps."""

from msgspec.structs import replace

from runwell.domain.errors import AttemptSuperseded, NotItsTurn, RunNotFound, StaleRun, TooLarge
from runwell.domain.events import StepFailed, StepFinished, StepStarted, UsageCounted, encode_event
from runwell.domain.instant import Instant
from runwell.domain.lifecycle import Change
from runwell.domain.run import Run, RunStatus
from runwell.ports.signals import SignalKind
from runwell.ports.store import NewMessage
from runwell.store.sqlite.messages import append_message
from runwell.store.sqlite.rows import (
    EVENT_KINDS,
    MAX_SEQ,
    UPDATE_RECORD,
    UPDATE_RUN,
    record_values,
    update_values,
)
from runwell.store.sqlite.step_rows import project_step
from runwell.store.sqlite.telling import tell, told
from runwell.store.sqlite.transaction import Head, Job, Transaction

_FIND_THREAD = "SELECT pk FROM threads WHERE id = ?"

# Thread order: when a run has ended, the first that is still live in its thread is behind nobody.
_LET_GO = """UPDATE runs SET behind = 0 WHERE behind = 1 AND pk = (
    SELECT pk FROM runs WHERE thread_id = ? AND status IN ('queued', 'running', 'waiting') ORDER BY pk LIMIT 1
)"""

_BEHIND = "SELECT behind FROM runs WHERE pk = ?"
_HELD = """SELECT 1 FROM runs
WHERE status = 'running' AND concurrency_key IS NOT NULL AND owner = ? AND concurrency_key = ? LIMIT 1"""

_PROJECTED = frozenset({StepStarted, StepFinished, StepFailed, UsageCounted})


class CommitChange(Job[Run]):
    """`Runs.commit`."""

    def __init__(self, change: Change, now: Instant, message: NewMessage | None) -> None:
        self._change = change
        self._now = now
        self._message = message
        self._encoded = [(EVENT_KINDS[event.type], encode_event(event)) for event in change.events]
        self._projects = any(type(event) in _PROJECTED for event in change.events)
        self._told = told(change.events)
        self.size = 256 + sum(len(data) for _, data in self._encoded)
        self.signals = _signals(change)

    def run(self, transaction: Transaction) -> Run:
        return self.apply(transaction, self.guard(transaction))

    def apply(self, transaction: Transaction, head: Head) -> Run:
        """Write it; `head` is what `guard` returned, in this transaction."""
        change = self._change
        before = head.last_seq
        transaction.append(head, self._encoded, self._now)
        if change.visible:
            self._write_row(transaction, head)
        if self._projects:
            for seq, event in enumerate(change.events, before + 1):
                if isinstance(event, StepStarted | StepFinished | StepFailed | UsageCounted):
                    project_step(transaction, head.pk, seq, event, change.run.attempt, self._now)
        if self._message is not None and change.run.thread_id is not None:
            thread = transaction.one(_FIND_THREAD, (bytes.fromhex(change.run.thread_id),))
            if thread is not None:
                append_message(transaction, thread[0], self._message, self._now, change.run.id)
        if self._told:
            due = tell(transaction, change.run, self._told, before, self._now)
            self.signals = (*_signals(change), *due)
        return replace(
            change.run, version=head.version, last_seq=head.last_seq,
            cancel_requested_at=head.cancel_requested_at,
        )  # fmt: skip

    def guard(self, transaction: Transaction) -> Head:
        """The run's head, if this change may be made. The fence is looked at first."""
        change = self._change
        head = transaction.head(change.run.id)
        if head is None:
            raise RunNotFound(change.run.id)
        if change.attempt is not None and not (head.running and head.attempt == change.attempt):
            raise AttemptSuperseded(change.run.id, change.attempt)
        if change.seen_version is not None and head.version != change.seen_version:
            raise StaleRun(change.run.id)
        if head.last_seq + len(self._encoded) > MAX_SEQ:
            raise TooLarge(f"The log of run_{change.run.id} is full", "Start another run to go on from here.")
        if change.command == "claim" and self._must_wait(transaction, head):
            raise NotItsTurn(change.run.id)
        return head

    def _must_wait(self, transaction: Transaction, head: Head) -> bool:
        """Whether another run goes before this one that is to start."""
        run = self._change.run
        if run.in_order and transaction.one(_BEHIND, (head.pk,)) == (1,):
            return True
        key = run.concurrency_key
        return key is not None and transaction.one(_HELD, (run.owner, key)) is not None

    def _write_row(self, transaction: Transaction, head: Head) -> None:
        run = self._change.run
        head.version += 1
        if self._change.command == "record":
            values = (head.version, head.last_seq, *record_values(run), head.pk)
            transaction.run(UPDATE_RECORD, values)
            return
        head.attempt = run.attempt
        head.running = run.status is RunStatus.RUNNING
        if run.cancel_requested_at is not None:
            head.cancel_requested_at = run.cancel_requested_at
        values = (head.version, head.last_seq, *update_values(run, head.cancel_requested_at), head.pk)
        transaction.run(UPDATE_RUN, values)
        if run.final and run.thread_id is not None:
            transaction.run(_LET_GO, (bytes.fromhex(run.thread_id),))


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

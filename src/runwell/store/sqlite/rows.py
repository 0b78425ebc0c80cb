"""Statements of runs, and what is SQLite's alone in the rows of logs and threads."""

from typing import Any

from runwell.domain.events import LoggedEvent
from runwell.domain.instant import Instant
from runwell.domain.preview import CUT
from runwell.store.rows import EVENT_KINDS as EVENT_KINDS
from runwell.store.rows import EVENT_TYPES_BY_KIND as EVENT_TYPES_BY_KIND
from runwell.store.rows import KEY_FIELDS as KEY_FIELDS
from runwell.store.rows import MAX_SEQ as MAX_SEQ
from runwell.store.rows import THREAD_FIELDS as THREAD_FIELDS
from runwell.store.rows import brief_of as brief_of
from runwell.store.rows import insert_values as insert_values
from runwell.store.rows import key_of as key_of
from runwell.store.rows import message_of as message_of
from runwell.store.rows import record_values as record_values
from runwell.store.rows import run_of as run_of
from runwell.store.rows import spec_of as spec_of
from runwell.store.rows import spec_values as spec_values
from runwell.store.rows import thread_of as thread_of
from runwell.store.rows import update_values as update_values

SEQ_BITS = 24
"""Of a key, how many its event's or message's number takes."""

MAX_PK = (1 << 63 - SEQ_BITS) - 1
"""What is left for a run's or a thread's own number."""

LAST_SEQ = """max(runs.last_seq, coalesce((
        SELECT events.key & 16777215 FROM events
        WHERE events.key BETWEEN runs.pk << 24 AND runs.pk << 24 | 16777215 ORDER BY events.key DESC LIMIT 1
    ), 0))"""
"""A text-only commit writes its events and leaves the row alone, so the log is asked for its end."""

RUN_FIELDS = f"""id, owner, agent, status, source, created_at, queued_at, version, {LAST_SEQ},
    attempt, tries, max_attempts, priority, in_order, ran_for, thread_id, concurrency_key, timeout,
    not_before, expires_at, started_at, claimed_at, first_output_at, finished_at, cancel_requested_at,
    reason, worker, retry_of, continues, progress, usage, steps, question, error, metadata, definition,
    output, label, extra, callbacks"""
"""The select list that `run_of` reads."""

BRIEF_FIELDS = RUN_FIELDS.replace(
    " output,", f" CASE WHEN length(output) < {CUT} THEN output ELSE substr(output, 1, {CUT}) END,"
)
"""The same with no more of an output than its preview takes; see `rows.brief_of`."""

INSERT_RUN = """INSERT INTO runs (
    id, owner, agent, status, source, created_at, queued_at, version, last_seq,
    attempt, tries, max_attempts, priority, in_order, ran_for, thread_id, concurrency_key, timeout,
    not_before, expires_at, started_at, claimed_at, first_output_at, finished_at, cancel_requested_at,
    reason, worker, retry_of, continues, progress, usage, steps, question, error, metadata, definition,
    output, label, extra, callbacks, behind
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

UPDATE_RECORD = """UPDATE runs SET
    version = ?, last_seq = ?, progress = ?, usage = ?, steps = ?, first_output_at = ?
WHERE pk = ?"""
"""What `record` changes. It names no indexed column, so no index is touched."""

UPDATE_RUN = """UPDATE runs SET
    version = ?, last_seq = ?, status = ?, queued_at = ?, attempt = ?, tries = ?, ran_for = ?,
    not_before = ?, expires_at = ?, started_at = ?, claimed_at = ?, first_output_at = ?, finished_at = ?,
    cancel_requested_at = ?, reason = ?, worker = ?, progress = ?, usage = ?, steps = ?, question = ?,
    error = ?, output = ?
WHERE pk = ?"""
"""Everything that any arrow of the lifecycle can change."""

MESSAGE_FIELDS = "key, role, content, at, run_id"
"""The select list that `message_of` reads."""

Row = tuple[Any, ...]


def event_of(row: Row, created_at: Instant) -> LoggedEvent:
    """From (key, kind, at, data) and the run's `created_at`, which `at` counts from."""
    key, kind, at, data = row
    return LoggedEvent(key & MAX_SEQ, created_at + at, EVENT_TYPES_BY_KIND[kind], data)

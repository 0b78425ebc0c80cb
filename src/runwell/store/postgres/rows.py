"""Statements of runs. The values in them, and what is made of their rows, are the same for SQLite."""

from typing import Any

from runwell.domain.preview import CUT
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
from runwell.store.rows import step_digest as step_digest
from runwell.store.rows import thread_of as thread_of
from runwell.store.rows import update_values as update_values

Row = Any
"""A record: unpacked and indexed like a tuple."""

RUN_FIELDS = """id, owner, agent, status, source, created_at, queued_at, version, last_seq,
    attempt, tries, max_attempts, priority, in_order, ran_for, thread_id, concurrency_key, timeout,
    not_before, expires_at, started_at, claimed_at, first_output_at, finished_at, cancel_requested_at,
    reason, worker, retry_of, continues, progress, usage, steps, question, error, metadata, definition,
    output, label, extra, callbacks"""
"""The select list that `run_of` reads, and the order of `insert_values`."""

BRIEF_FIELDS = RUN_FIELDS.replace(" output,", f" substring(output FROM 1 FOR {CUT}) AS output,")
"""The same with no more of an output than its preview takes; see `brief_of`."""

RECORDED = ("progress", "usage", "steps", "first_output_at")
"""The columns of `record_values`: what `record` changes. No index has them."""

UPDATED = (
    "status", "queued_at", "attempt", "tries", "ran_for", "not_before", "expires_at", "started_at",
    "claimed_at", "first_output_at", "finished_at", "cancel_requested_at", "reason", "worker", "progress",
    "usage", "steps", "question", "error", "output",
)  # fmt: skip
"""The columns of `update_values`: everything that any arrow of the lifecycle can change."""

MESSAGE_FIELDS = "position, role, content, at, run_id"
"""The select list that `message_of` reads."""

STANDING = "ARRAY(SELECT value FROM callbacks WHERE owner = {owner} AND paused = 0 ORDER BY id)"
"""The owner's callbacks, in the select list of the statement that writes the event."""


def marks(first: int, count: int) -> str:
    """`$first, …`, so many."""
    return ", ".join(f"${number}" for number in range(first, first + count))

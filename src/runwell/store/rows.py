"""Rows to values and back, for both stores: they keep ids, instants, flags and JSON in the same shapes.

Nothing here reads or writes; it is called for every status read.
"""

import hashlib
from typing import Any

import msgspec

from runwell.domain.agent import AgentSpec
from runwell.domain.callback import Callback
from runwell.domain.instant import Instant
from runwell.domain.json_gate import EMPTY, Json
from runwell.domain.preview import cut
from runwell.domain.principal import Key, Scope
from runwell.domain.run import (
    NO_STEPS,
    NO_USAGE,
    Progress,
    Question,
    Run,
    RunError,
    RunStatus,
    StepCounts,
    Usage,
)
from runwell.domain.thread import Message, Role, Thread

MAX_SEQ = (1 << 24) - 1
"""How many events a log, and messages a thread, can hold."""

EVENT_KINDS = {
    "run.created": 1,
    "run.waiting": 2,
    "run.resumed": 3,
    "run.cancel_requested": 4,
    "run.succeeded": 5,
    "run.failed": 6,
    "run.cancelled": 7,
    "attempt.started": 8,
    "attempt.failed": 9,
    "attempt.lost": 10,
    "attempt.handed_back": 11,
    "step.started": 12,
    "step.finished": 13,
    "step.failed": 14,
    "output.text_delta": 15,
    "output.reasoning_delta": 16,
    "output.message_added": 17,
    "output.tool_called": 18,
    "output.tool_returned": 19,
    "output.progress_noted": 20,
    "output.usage_counted": 21,
    "output.restarted": 22,
}
"""Event types as they are stored. A number, once used, means that type for ever."""

EVENT_TYPES_BY_KIND = {kind: name for name, kind in EVENT_KINDS.items()}

Row = Any
"""A row of either: unpacked and indexed like a tuple."""


_STATUSES: dict[str, RunStatus] = {status.value: status for status in RunStatus}
_ENCODE = msgspec.json.Encoder().encode
_USAGE = msgspec.json.Decoder(Usage).decode
_STEPS = msgspec.json.Decoder(StepCounts).decode
_PROGRESS = msgspec.json.Decoder(Progress).decode
_QUESTION = msgspec.json.Decoder(Question).decode
_ERROR = msgspec.json.Decoder(RunError).decode
_CALLBACKS = msgspec.json.Decoder(tuple[Callback, ...]).decode
_SPEC = msgspec.json.Decoder(AgentSpec).decode


def run_of(row: Row) -> Run:
    """The run behind one row of a store's `RUN_FIELDS`."""
    (
        id, owner, agent, status, source, created_at, queued_at, version, last_seq,
        attempt, tries, max_attempts, priority, in_order, ran_for, thread_id, concurrency_key, timeout,
        not_before, expires_at, started_at, claimed_at, first_output_at, finished_at, cancel_requested_at,
        reason, worker, retry_of, continues, progress, usage, steps, question, error, metadata, definition,
        output, label, extra, callbacks,
    ) = row  # fmt: skip
    return Run(
        id=id.hex(), owner=owner, agent=agent, status=_STATUSES[status], source=source,
        created_at=created_at, queued_at=queued_at, version=version, last_seq=last_seq,
        attempt=attempt, tries=tries, max_attempts=max_attempts, priority=priority,
        in_order=in_order == 1, ran_for=ran_for, concurrency_key=concurrency_key, timeout=timeout,
        thread_id=None if thread_id is None else thread_id.hex(),
        not_before=not_before, expires_at=expires_at, started_at=started_at, claimed_at=claimed_at,
        first_output_at=first_output_at, finished_at=finished_at,
        cancel_requested_at=cancel_requested_at, reason=reason, worker=worker,
        retry_of=None if retry_of is None else retry_of.hex(),
        continues=None if continues is None else continues.hex(),
        progress=None if progress is None else _PROGRESS(progress),
        usage=NO_USAGE if usage is None else _USAGE(usage),
        steps=NO_STEPS if steps is None else _STEPS(steps),
        question=None if question is None else _QUESTION(question),
        error=None if error is None else _ERROR(error),
        metadata=EMPTY if metadata is None else Json(metadata),
        definition=None if definition is None else Json(definition),
        output=None if output is None else Json(output),
        label=label, extra=EMPTY if extra is None else Json(extra),
        callbacks=() if callbacks is None else _CALLBACKS(callbacks),
    )  # fmt: skip


def brief_of(row: Row) -> Run:
    """The run behind one row of a store's `BRIEF_FIELDS`: its output is good for a preview, and no more."""
    run = run_of(row)
    return run if run.output is None else msgspec.structs.replace(run, output=cut(bytes(run.output)))


def insert_values(run: Run) -> Row:
    """What is inserted for a new run, all but `behind`, which is the last."""
    return (
        bytes.fromhex(run.id), run.owner, run.agent, run.status.value, run.source, run.created_at,
        run.queued_at, run.version, run.last_seq, run.attempt, run.tries, run.max_attempts,
        run.priority, 1 if run.in_order else 0, run.ran_for, _id(run.thread_id), run.concurrency_key,
        run.timeout, run.not_before, run.expires_at, run.started_at, run.claimed_at,
        run.first_output_at, run.finished_at, run.cancel_requested_at, run.reason, run.worker,
        _id(run.retry_of), _id(run.continues), *_counted(run), _json(run.question), _json(run.error),
        None if run.metadata == EMPTY else bytes(run.metadata), _raw(run.definition), _raw(run.output),
        run.label, None if run.extra == EMPTY else bytes(run.extra),
        _ENCODE(run.callbacks) if run.callbacks else None,
    )  # fmt: skip


def record_values(run: Run) -> Row:
    """What `record` changes: all but version and last_seq."""
    return (*_counted(run), run.first_output_at)


def update_values(run: Run, cancel_requested_at: Instant | None) -> Row:
    """What any arrow of the lifecycle can change: all but version and last_seq."""
    return (
        run.status.value, run.queued_at, run.attempt, run.tries, run.ran_for, run.not_before,
        run.expires_at, run.started_at, run.claimed_at, run.first_output_at, run.finished_at,
        cancel_requested_at, run.reason, run.worker, *_counted(run), _json(run.question),
        _json(run.error), _raw(run.output),
    )  # fmt: skip


def _counted(run: Run) -> tuple[bytes | None, bytes | None, bytes | None]:
    """progress, usage, steps; NULL for nothing yet, which most rows have."""
    return (
        None if run.progress is None else _ENCODE(run.progress),
        None if run.usage is NO_USAGE or run.usage == NO_USAGE else _ENCODE(run.usage),
        None if run.steps is NO_STEPS or run.steps == NO_STEPS else _ENCODE(run.steps),
    )


def _id(id: str | None) -> bytes | None:
    return None if id is None else bytes.fromhex(id)


def _json(value: Question | RunError | None) -> bytes | None:
    return None if value is None else _ENCODE(value)


def _raw(document: Json | None) -> bytes | None:
    return None if document is None else bytes(document)


THREAD_FIELDS = "id, owner, created_at, updated_at, messages, title, metadata"


def thread_of(row: Row) -> Thread:
    id, owner, created_at, updated_at, messages, title, metadata = row
    return Thread(
        id=id.hex(), owner=owner, created_at=created_at, updated_at=updated_at, messages=messages,
        title=title, metadata=EMPTY if metadata is None else Json(metadata),
    )  # fmt: skip


def message_of(row: Row) -> Message:
    """From (position, role, content, at, run_id). SQLite gives its key for the position, which ends in it."""
    key, role, content, at, run_id = row
    return Message(
        position=key & MAX_SEQ, role=Role(role), content=Json(content), at=at,
        run_id=None if run_id is None else run_id.hex(),
    )  # fmt: skip


KEY_FIELDS = "id, owner, name, prefix, digest, scopes, created_at, revoked_at"


def key_of(row: Row) -> Key:
    id, owner, name, prefix, digest, scopes, created_at, revoked_at = row
    return Key(
        id=id.hex(), owner=owner, name=name, prefix=prefix, digest=digest,
        scopes=frozenset(Scope(word) for word in scopes.split()),
        created_at=created_at, revoked_at=revoked_at,
    )  # fmt: skip


def spec_values(spec: AgentSpec) -> tuple[bytes, bytes | None]:
    """spec, output_schema: apart, since msgspec cannot decode `Raw | None`."""
    whole = msgspec.structs.replace(spec, output_schema=None)
    return _ENCODE(whole), _raw(spec.output_schema)


def spec_of(row: Row) -> AgentSpec:
    """From (spec, output_schema, created_at)."""
    spec, output_schema, created_at = row
    schema = None if output_schema is None else Json(output_schema)
    return msgspec.structs.replace(_SPEC(spec), output_schema=schema, created_at=created_at)


def step_digest(key: str) -> bytes:
    """What a step is found by on PostgreSQL: an agent's key may be longer than an index can hold."""
    return hashlib.sha256(key.encode()).digest()[:16]

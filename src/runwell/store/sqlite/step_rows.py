"""The steps table: a projection of what the log says of steps."""

from runwell.domain.events import StepFailed, StepFinished, StepStarted, UsageCounted
from runwell.domain.instant import Instant
from runwell.domain.step import StepStatus
from runwell.store.sqlite.transaction import Transaction

# A step that a dead attempt left behind keeps its place in the order and what it has cost.
_START = """INSERT INTO steps (run_pk, key, first_seq, name, kind, parent, status, attempt, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_pk, key) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, parent = excluded.parent, status = excluded.status,
    attempt = excluded.attempt, started_at = excluded.started_at, finished_at = NULL, ended_seq = NULL,
    inherited = 0"""

_END = """INSERT INTO steps
    (run_pk, key, first_seq, name, kind, parent, status, attempt, started_at, finished_at, ended_seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_pk, key) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, parent = excluded.parent, status = excluded.status,
    attempt = excluded.attempt, started_at = excluded.started_at, finished_at = excluded.finished_at,
    ended_seq = excluded.ended_seq, inherited = 0"""

# Usage of a step that never began is the run's alone.
_COUNT = """UPDATE steps SET
    input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cached_tokens = cached_tokens + ?,
    reasoning_tokens = reasoning_tokens + ?, model_calls = model_calls + ?, tool_calls = tool_calls + ?,
    cost = cost + ?, credits = credits + ?
WHERE run_pk = ? AND key = ?"""


def project_step(
    transaction: Transaction,
    run_pk: int,
    seq: int,
    event: StepStarted | StepFinished | StepFailed | UsageCounted,
    attempt: int,
    now: Instant,
) -> None:
    """Fold one event of an attempt, number `seq` of the log, into the run's steps."""
    if isinstance(event, UsageCounted):
        if event.in_step is not None:
            used = event.usage
            values = (
                used.input_tokens, used.output_tokens, used.cached_tokens, used.reasoning_tokens,
                used.model_calls, used.tool_calls, used.cost, used.credits, run_pk, event.in_step,
            )  # fmt: skip
            transaction.run(_COUNT, values)
        return
    step = (run_pk, event.key, seq, event.name, event.kind.value, event.parent)
    if isinstance(event, StepStarted):
        transaction.run(_START, (*step, StepStatus.RUNNING.value, attempt, now))
        return
    status = StepStatus.FINISHED if isinstance(event, StepFinished) else StepStatus.FAILED
    transaction.run(_END, (*step, status.value, attempt, event.started_at, now, seq))

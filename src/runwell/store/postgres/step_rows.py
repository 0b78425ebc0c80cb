"""The steps table: a projection of what the log says of steps."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from runwell.domain.events import Event, StepFailed, StepFinished, StepStarted, UsageCounted
from runwell.domain.instant import Instant
from runwell.domain.step import StepStatus
from runwell.store.postgres.pool import Transaction
from runwell.store.postgres.rows import step_digest

# A step that a dead attempt left behind keeps its place in the order and what it has cost.
_PUT = """INSERT INTO steps (run_pk, digest, key, first_seq, name, kind, parent, status, attempt, started_at,
    finished_at, ended_seq)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (run_pk, digest) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, parent = excluded.parent, status = excluded.status,
    attempt = excluded.attempt, started_at = excluded.started_at, finished_at = excluded.finished_at,
    ended_seq = excluded.ended_seq, inherited = 0"""

# Usage of a step that never began is the run's alone.
_COUNT = """UPDATE steps SET
    input_tokens = input_tokens + $3, output_tokens = output_tokens + $4,
    cached_tokens = cached_tokens + $5, reasoning_tokens = reasoning_tokens + $6,
    model_calls = model_calls + $7, tool_calls = tool_calls + $8, cost = cost + $9, credits = credits + $10
WHERE run_pk = $1 AND digest = $2"""


Projection = tuple[str, tuple[Any, ...]]
"""A statement and its values."""

_PROJECTED = (StepStarted, StepFinished, StepFailed, UsageCounted)


def projections(
    run_pk: int, before: int, events: Sequence[Event], attempt: int, now: Instant
) -> list[Projection]:
    """What folds the events of an attempt into the run's steps; `before` is the number of the last event
    before them. To be done in this order."""
    return [
        projection
        for seq, event in enumerate(events, before + 1)
        if isinstance(event, _PROJECTED)
        and (projection := _projection(run_pk, seq, event, attempt, now)) is not None
    ]


def _projection(
    run_pk: int,
    seq: int,
    event: StepStarted | StepFinished | StepFailed | UsageCounted,
    attempt: int,
    now: Instant,
) -> Projection | None:
    if isinstance(event, UsageCounted):
        if event.in_step is None:
            return None
        used = event.usage
        return _COUNT, (
            run_pk, step_digest(event.in_step), used.input_tokens, used.output_tokens, used.cached_tokens,
            used.reasoning_tokens, used.model_calls, used.tool_calls, float(used.cost), float(used.credits),
        )  # fmt: skip
    step = (run_pk, step_digest(event.key), event.key, seq, event.name, event.kind.value, event.parent)
    if isinstance(event, StepStarted):
        return _PUT, (*step, StepStatus.RUNNING.value, attempt, now, None, None)
    status = StepStatus.FINISHED if isinstance(event, StepFinished) else StepStatus.FAILED
    return _PUT, (*step, status.value, attempt, event.started_at, now, seq)


async def project(transaction: Transaction, of_runs: Iterable[Sequence[Projection]]) -> None:
    """Do them: those of one run in their order, those of several runs together."""
    left = [deque(each) for each in of_runs if each]
    while left:
        for sql in (_PUT, _COUNT):
            rows = []
            for each in left:
                while each and each[0][0] is sql:
                    rows.append(each.popleft()[1])
            await transaction.many(sql, rows)
        left = [each for each in left if each]

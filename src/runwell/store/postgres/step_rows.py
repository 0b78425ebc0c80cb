"""The steps table: a projection of what the log says of steps."""

from runwell.domain.events import StepFailed, StepFinished, StepStarted, UsageCounted
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


async def project_step(
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
            await transaction.run(
                _COUNT, run_pk, step_digest(event.in_step), used.input_tokens, used.output_tokens,
                used.cached_tokens, used.reasoning_tokens, used.model_calls, used.tool_calls,
                float(used.cost), float(used.credits),
            )  # fmt: skip
        return
    step = (run_pk, step_digest(event.key), event.key, seq, event.name, event.kind.value, event.parent)
    if isinstance(event, StepStarted):
        await transaction.run(_PUT, *step, StepStatus.RUNNING.value, attempt, now, None, None)
        return
    status = StepStatus.FINISHED if isinstance(event, StepFinished) else StepStatus.FAILED
    await transaction.run(_PUT, *step, status.value, attempt, event.started_at, now, seq)

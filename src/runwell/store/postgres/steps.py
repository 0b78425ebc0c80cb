"""`ports.store.Steps` on PostgreSQL. Outputs and errors are in the log; a step's row says where."""

from runwell.domain.events import RunCreated, StepFailed, StepFinished, decode_event
from runwell.domain.json_gate import Json
from runwell.domain.run import RunError, Usage
from runwell.domain.step import Step, StepKind, StepStatus
from runwell.store.postgres.pool import Pool
from runwell.store.postgres.rows import EVENT_TYPES_BY_KIND, Row

_OF = """SELECT steps.key, name, steps.kind, parent, status, attempt, started_at, finished_at, inherited,
    events.kind, events.data,
    input_tokens, output_tokens, cached_tokens, reasoning_tokens, model_calls, tool_calls, cost, credits
FROM steps LEFT JOIN events
    ON events.run_pk = steps.run_pk AND events.seq = steps.ended_seq AND steps.inherited = 0
WHERE steps.run_pk = (SELECT pk FROM runs WHERE id = $1 AND log_pruned < 3) ORDER BY first_seq, steps.key"""
_CREATED = "SELECT data FROM events WHERE run_pk = (SELECT pk FROM runs WHERE id = $1) AND seq = 1"


class PostgresSteps:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def of(self, run_id: str) -> list[Step]:
        id = bytes.fromhex(run_id)
        rows = await self._pool.all(_OF, id)
        if not any(row[8] for row in rows):
            return [_step_of(row, {}) for row in rows]
        inherited = await self._inherited(id)
        order = {key: place for place, key in enumerate(inherited)}
        # Those that came with the run, in the order it was given them; then its own.
        rows.sort(key=lambda row: order.get(row[0], len(order)))
        return [_step_of(row, inherited) for row in rows]

    async def _inherited(self, id: bytes) -> dict[str, Json]:
        """Output by key of the steps the run was created with; empty when the log was pruned."""
        row = await self._pool.one(_CREATED, id)
        if row is None:
            return {}
        created = decode_event(RunCreated.type, row[0])
        return {step.key: step.output for step in created.steps} if isinstance(created, RunCreated) else {}


def _step_of(row: Row, inherited: dict[str, Json]) -> Step:
    key, name, kind, parent, status, attempt, started_at, finished_at, came_along, end, data, *used = row
    output: Json | None = inherited.get(key) if came_along else None
    error: RunError | None = None
    if end is not None:
        ended = decode_event(EVENT_TYPES_BY_KIND[end], data)
        if isinstance(ended, StepFinished):
            output = ended.output
        elif isinstance(ended, StepFailed):
            error = ended.error
    return Step(
        key=key, name=name, kind=StepKind(kind), status=StepStatus(status), attempt=attempt,
        started_at=started_at, parent=parent, finished_at=finished_at, usage=Usage(*used), error=error,
        output=output, inherited=came_along == 1,
    )  # fmt: skip

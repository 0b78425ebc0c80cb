"""How many bytes of PostgreSQL's disk a run takes, with its log, its steps and all indexes."""

import asyncpg

from benchmarks.fleet.server import postgres
from benchmarks.measurement import Figure, Plan
from runwell.domain.commands import Claim, Create, Record, Succeed
from runwell.domain.events import StepFinished, StepStarted, TextDelta, UsageCounted
from runwell.domain.ids import new_id
from runwell.domain.json_gate import Json
from runwell.domain.lifecycle import decide
from runwell.domain.run import Usage
from runwell.domain.step import StepKind
from runwell.ports.store import Store
from runwell.store.postgres import Database

RUNS = 1_000
CALLS = 5
"""Model calls of each run, each a step that says something and counts its usage."""
EVENTS = 3 + 4 * CALLS
SAID = "A sentence of an answer, as long as a batch of streamed text is in most logs of real agents. "
SIZE = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE c.relname = ANY($1::text[])"


async def measure(plan: Plan) -> list[Figure]:
    with postgres(plan.folder) as url:
        database = await Database.open(url)
        try:
            store = database.store()
            for number in range(RUNS):
                await _live(store, 1_700_000_000_000_000 + number * 1_000_000)
        finally:
            await database.close()
        connection = await asyncpg.connect(url)
        await connection.execute("VACUUM FULL")
        event, run = [
            float(await connection.fetchval(SIZE, tables)) for tables in (["events"], ["runs", "steps"])
        ]
        await connection.close()
    plan.tell(f"size: {event / RUNS / EVENTS:,.0f} bytes an event, {run / RUNS:,.0f} a run besides")
    return [
        Figure(
            name="fleet.size.event", what="An event on disk, its index too", unit="bytes",
            measured=[event / RUNS / EVENTS],
            note=f"{RUNS:,} runs of {EVENTS} events: {CALLS} model calls, each a step that says a sentence",
        ),
        Figure(
            name="fleet.size.run", what="A run on disk besides: row, steps, all indexes", unit="bytes",
            measured=[run / RUNS],
        ),
    ]  # fmt: skip


async def _live(store: Store, now: int) -> None:
    create = Create(id=new_id(now), owner="bench", agent="writer", input=Json(b'"What is new in the world?"'))
    run = (await store.runs.add(decide(None, create, now), now)).run
    run = await store.runs.commit(decide(run, Claim(worker="bench"), now), now)
    for call in range(CALLS):
        key = f"model#{call}"
        said = (
            StepStarted(key=key, name="model", kind=StepKind.MODEL),
            TextDelta(text=SAID, in_step=key),
            UsageCounted(usage=Usage(input_tokens=900, output_tokens=120, model_calls=1), in_step=key),
            StepFinished(
                key=key, name="model", started_at=now, output=Json(b'{"text": "' + SAID.encode() + b'"}')
            ),
        )
        run = await store.runs.commit(decide(run, Record(events=said), now), now)
    await store.runs.commit(decide(run, Succeed(output=Json(b'"' + SAID.encode() + b'"')), now), now)

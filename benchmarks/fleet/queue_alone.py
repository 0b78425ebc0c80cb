"""PgQueuer alone, without a run behind its jobs: what the queue itself could carry on this machine."""

import asyncio
import time
from datetime import timedelta

import asyncpg
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.models import Job

from benchmarks.fleet.server import postgres
from benchmarks.measurement import Figure, Plan

JOBS = 3_000
AT_ONCE = 10
"""Jobs put in by one statement."""


async def measure(plan: Plan) -> list[Figure]:
    put: list[float] = []
    drained: list[float] = []
    with postgres(plan.folder) as url:
        pool = await asyncpg.create_pool(url, min_size=4, max_size=10)
        queries = Queries.from_asyncpg_pool(pool)
        await queries.install()
        for number in range(plan.rounds):
            await plan.quiet()
            put.append(JOBS / await _put(queries))
            drained.append(JOBS / await _drain(queries))
            plan.tell(
                f"PgQueuer alone: round {number + 1}/{plan.rounds}: {put[-1]:,.0f}/s in, "
                f"{drained[-1]:,.0f}/s out"
            )
        await pool.close()
    return [
        Figure(
            name=f"fleet.queue.{name}", what=what, unit="/s", measured=rates,
            note="one process, no run behind the jobs",
        )
        for name, what, rates in (
            ("in", f"PgQueuer alone: jobs put in, {AT_ONCE} in a statement", put),
            ("out", "PgQueuer alone: empty jobs taken, done and put away by one worker", drained),
        )
    ]  # fmt: skip


async def _put(queries: Queries) -> float:
    began = time.perf_counter()
    for _ in range(JOBS // AT_ONCE):
        await queries.enqueue(["empty"] * AT_ONCE, [b"x"] * AT_ONCE, [0] * AT_ONCE)
    return time.perf_counter() - began


async def _drain(queries: Queries) -> float:
    manager, left = QueueManager(queries), JOBS

    @manager.entrypoint("empty")
    async def empty(job: Job) -> None:
        nonlocal left
        left -= 1
        if not left:
            manager.shutdown.set()

    began = time.perf_counter()
    await manager.run(dequeue_timeout=timedelta(seconds=1), batch_size=50)
    took = time.perf_counter() - began
    assert not left
    await asyncio.sleep(0)
    return took

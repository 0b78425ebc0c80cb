"""One run on an idle fleet: how soon another process has it, and how soon its end is seen."""

import asyncio
import json
import time
from contextlib import ExitStack
from statistics import median, quantiles

import asyncpg

from benchmarks.client import Connection, connect, request
from benchmarks.fleet.processes import BODY, serving, warm, workers
from benchmarks.fleet.server import postgres
from benchmarks.measurement import Figure, Goal, Plan
from runwell.domain.instant import from_iso

TRIES = 100
"""Single runs per round."""
PAUSE = 0.02
"""Seconds between two, so that the fleet is idle again."""


async def measure(plan: Plan) -> list[Figure]:
    started: list[list[float]] = []
    ended: list[list[float]] = []
    base: list[list[float]] = []
    with ExitStack() as stack:
        url = stack.enter_context(postgres(plan.folder))
        server = stack.enter_context(serving(url, plan.folder))
        bare = await asyncpg.connect(url)
        await warm(server, url, plan.folder)
        stack.enter_context(workers(url, plan.folder))
        connection = await connect(server.port)
        await _one(connection, server.key)  # until a worker is there
        for number in range(plan.rounds):
            await plan.quiet()
            base.append([await _asked(bare) for _ in range(TRIES)])
            seen = [await _one(connection, server.key) for _ in range(TRIES)]
            started.append([each[0] for each in seen])
            ended.append([each[1] for each in seen])
            plan.tell(
                f"fleet latency: round {number + 1}/{plan.rounds}: started after "
                f"{median(started[-1]):.1f} ms, ended after {median(ended[-1]):.1f} ms"
            )
        connection.close()
        await bare.close()
    return [
        _figure("started", "from its submit until another process has begun it", started, base, 15),
        _figure("ended", "its end is seen in the answer to the submit (Prefer: wait)", ended, base, 25),
    ]


def _figure(name: str, seen: str, rounds: list[list[float]], base: list[list[float]], most: float) -> Figure:
    p99 = median(quantiles(times, n=100)[98] for times in rounds)
    return Figure(
        name=f"fleet.latency.{name}",
        what=f"Idle fleet, one run that does nothing: {seen}, median",
        unit="ms",
        measured=[median(times) for times in rounds],
        baseline=[median(times) for times in base],
        beside="one SELECT 1",
        floor=Goal(at_most=most),
        note=f"p99 {p99:.1f} ms; a server, two workers and PostgreSQL on this machine",
    )


async def _asked(bare: asyncpg.Connection) -> float:
    began = time.perf_counter()
    await bare.fetchval("SELECT 1")
    return (time.perf_counter() - began) * 1e3


async def _one(connection: Connection, key: str) -> tuple[float, float]:
    """Milliseconds from submit to start, by the database's clock, and to the answer that has the end."""
    await asyncio.sleep(PAUSE)
    wait = request("POST", "/runs", key=key, body=BODY, extra="Prefer: wait=30\r\n")
    began = time.perf_counter()
    answer = await connection.ask(wait)
    took = (time.perf_counter() - began) * 1e3
    assert answer.status == 200, answer
    run = json.loads(answer.body)
    assert run["status"] == "succeeded", answer
    return (from_iso(run["started_at"]) - from_iso(run["created_at"])) / 1e3, took

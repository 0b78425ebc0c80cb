"""How many submits a second are on disk and acknowledged."""

import asyncio
import itertools
import json
from contextlib import ExitStack
from statistics import median

from benchmarks.client import Answer, connect, request
from benchmarks.load import Load, press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, baseline, runwell

IN_FLIGHT = 64
SECONDS = 1.5
BODY = json.dumps({"agent": "noop", "input": "What is new?"}).encode()


async def measure(plan: Plan) -> list[Figure]:
    """Into a server whose one place is taken by a run that never ends, so that what is measured is
    the submit and not the run that follows it; that one is measured by `runs`."""
    with ExitStack() as stack:
        server = stack.enter_context(
            runwell(plan.folder, plan.folder / "submits.db", concurrency=1, max_queue="0")
        )
        plain = stack.enter_context(baseline(plan.folder))
        size = await _occupy(server)
        ours = itertools.repeat(request("POST", "/runs", key=server.key, body=BODY))
        theirs = itertools.repeat(request("POST", f"/{size}", key="rw_" + "x" * 43, body=BODY))
        seen: set[bytes] = set()

        def keep(answer: Answer) -> None:
            seen.add(answer.body[:43])

        async def submit(seconds: float) -> Load:
            return await press(
                server.process, ours, connections=IN_FLIGHT, expected=202, seconds=seconds, keep=keep
            )

        async def greet(seconds: float) -> Load:
            return await press(plain, theirs, connections=IN_FLIGHT, expected=200, seconds=seconds)

        total = (await submit(0.5)).answers
        await greet(0.5)
        submits: list[Load] = []
        greetings: list[Load] = []
        for number in range(plan.rounds):
            await plan.quiet()
            greetings.append(await greet(SECONDS))
            submits.append(await submit(SECONDS))
            total += submits[-1].answers
            plan.tell(
                f"submits: round {number + 1}/{plan.rounds}: {submits[-1].rate:,.0f}/s, "
                f"p50 {submits[-1].median * 1e3:.1f} ms; baseline {greetings[-1].rate:,.0f}/s"
            )
        assert len(seen) == total, "every submit is a run of its own"
        return [_figure(submits, greetings, size)]


async def _occupy(server: Runwell) -> int:
    """Start the run that never ends, and wait until it works; the size of a submit's answer."""
    connection = await connect(server.port)
    body = json.dumps({"agent": "waiter", "input": None}).encode()
    answer = await connection.ask(request("POST", "/runs", key=server.key, body=body))
    assert answer.status == 202, answer
    path = json.loads(answer.body)["links"]["self"]
    while True:
        run = json.loads((await connection.ask(request("GET", path, key=server.key))).body)
        if run["status"] == "running":
            connection.close()
            return len(answer.body)
        await asyncio.sleep(0.01)


def _figure(submits: list[Load], greetings: list[Load], size: int) -> Figure:
    p99 = median(load.p99 for load in submits)
    cost, base_cost = (median(load.cost for load in loads) for loads in (submits, greetings))
    return Figure(
        name="submits",
        what=f"Durable submits, {IN_FLIGHT} in flight, each synced to disk before its answer",
        unit="/s",
        measured=[load.rate for load in submits],
        baseline=[load.rate for load in greetings],
        beside=f"uvicorn, raw ASGI, the same body in and {size} bytes out, nothing stored",
        floor=Goal(at_least=3_000, ratio=0.1),
        reach=Goal(at_least=6_000),
        note=f"p99 {p99 * 1e3:.1f} ms; {cost:.0f} µs of processor for each, the baseline {base_cost:.0f} µs; "
        "all places are taken, so the runs only queue",
    )

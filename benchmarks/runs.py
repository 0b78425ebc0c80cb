"""From submit to end: how many runs a second, and how long one takes on an idle server."""

import asyncio
import itertools
import json
import time
from contextlib import ExitStack
from statistics import median, quantiles

from benchmarks.client import Connection, connect, request
from benchmarks.event_stream import Watcher
from benchmarks.load import press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, ServerProcess, baseline, runwell

RUNS = 2_000
IN_FLIGHT = 64
TRIES = 100
"""Single runs per round."""
BODY = json.dumps({"agent": "noop", "input": "What is new?"}).encode()


async def measure_throughput(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        server = stack.enter_context(runwell(plan.folder, plan.folder / "runs.db"))
        plain = stack.enter_context(baseline(plan.folder))
        rates: list[float] = []
        base: list[float] = []
        await _round(server, 500, 0)
        for number in range(plan.rounds):
            await plan.quiet()
            base.append(await _greet(plain))
            rates.append(RUNS / await _round(server, RUNS, 500 + number * RUNS))
            plan.tell(f"runs: round {number + 1}/{plan.rounds}: {rates[-1]:,.0f}/s")
        return [
            Figure(
                name="runs",
                what=f"{RUNS:,} runs that do nothing, from the first submit until all are final",
                unit="/s",
                measured=rates,
                baseline=base,
                beside="as many POSTs to uvicorn, raw ASGI",
                floor=Goal(at_least=1_500),
                reach=Goal(at_least=3_000),
                note=f"submitted over {IN_FLIGHT} connections; 3 durable events each",
            )
        ]


async def _greet(plain: ServerProcess) -> float:
    requests = itertools.repeat(request("POST", "/400", key="rw_" + "x" * 43, body=BODY), RUNS)
    return (await press(plain, requests, connections=IN_FLIGHT, expected=200)).rate


async def _round(server: Runwell, runs: int, before: int) -> float:
    """Seconds until all are final. All are then counted: each must have succeeded."""
    submits = itertools.repeat(request("POST", "/runs", key=server.key, body=BODY), runs)
    connection = await connect(server.port)
    live = request("GET", "/runs?status=queued&status=running&limit=1", key=server.key)
    began = time.perf_counter()
    await press(server.process, submits, connections=IN_FLIGHT, expected=202)
    while json.loads((await connection.ask(live)).body)["runs"]:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.02)
    took = time.perf_counter() - began
    succeeded = await _count(connection, server.key, before + runs)
    assert succeeded == before + runs, f"{succeeded} runs have succeeded, not {before + runs}"
    connection.close()
    return took


async def _count(connection: Connection, key: str, most: int) -> int:
    """How many runs have succeeded, page by page."""
    count, cursor = 0, ""
    while count <= most:
        path = f"/runs?status=succeeded&limit=100{cursor}"
        page = json.loads((await connection.ask(request("GET", path, key=key))).body)
        count += len(page["runs"])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    return count


async def measure_latency(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        server = stack.enter_context(runwell(plan.folder, plan.folder / "latency.db"))
        plain = stack.enter_context(baseline(plan.folder))
        waits: list[list[float]] = []
        streams: list[list[float]] = []
        base: list[list[float]] = []
        ours, watching, theirs = [await connect(port) for port in (server.port, server.port, plain.port)]
        await _waited(ours, server.key)
        for number in range(plan.rounds):
            await plan.quiet()
            base.append([await _greeted(theirs) for _ in range(TRIES)])
            waits.append([await _waited(ours, server.key) for _ in range(TRIES)])
            streams.append([await _watched(ours, watching, server.key) for _ in range(TRIES)])
            plan.tell(
                f"latency: round {number + 1}/{plan.rounds}: "
                f"wait {median(waits[-1]):.2f} ms, stream {median(streams[-1]):.2f} ms"
            )
        return [
            _figure("latency.wait", "in the answer to the submit (Prefer: wait)", waits, base),
            _figure("latency.stream", "by a watcher (server-sent events)", streams, base),
        ]


def _figure(name: str, seen: str, rounds: list[list[float]], base: list[list[float]]) -> Figure:
    p99 = median(quantiles(times, n=100)[98] for times in rounds)
    return Figure(
        name=name,
        what=f"Idle server, one run that does nothing: its end is seen {seen}, median",
        unit="ms",
        measured=[median(times) for times in rounds],
        baseline=[median(times) for times in base],
        beside="one POST to uvicorn, raw ASGI",
        floor=Goal(at_most=5),
        reach=Goal(at_most=3),
        note=f"p99 {p99:.1f} ms; three commits to disk, one after the other",
    )


async def _greeted(connection: Connection) -> float:
    began = time.perf_counter()
    await connection.ask(request("POST", "/400", key="rw_" + "x" * 43, body=BODY))
    return (time.perf_counter() - began) * 1e3


async def _waited(connection: Connection, key: str) -> float:
    """Milliseconds from submit to the answer that has the end."""
    wait = request("POST", "/runs", key=key, body=BODY, extra="Prefer: wait=10\r\n")
    began = time.perf_counter()
    answer = await connection.ask(wait)
    took = (time.perf_counter() - began) * 1e3
    assert answer.status == 200, answer
    assert json.loads(answer.body)["status"] == "succeeded", answer
    return took


async def _watched(connection: Connection, watching: Connection, key: str) -> float:
    """Milliseconds from submit to the frame with the end, on a stream that is opened in between."""
    submit = request("POST", "/runs", key=key, body=BODY)
    watcher = Watcher(watching)
    began = time.perf_counter()
    answer = await connection.ask(submit)
    await watcher.follow(json.loads(answer.body)["links"]["events"], key)
    assert watcher.events()[-1]["type"] == "run.succeeded"
    return (watcher.last - began) * 1e3

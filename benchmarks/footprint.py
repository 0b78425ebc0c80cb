"""Memory of an idle server, memory of an idle watcher, and the time a start takes."""

import asyncio
import itertools
import json
import resource
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.client import connect, request
from benchmarks.event_stream import Watcher
from benchmarks.load import press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, ServerProcess, baseline, runwell

WATCHERS = 2_000
SETTLE = 1.0
"""Seconds before memory is read."""
MB, KB = 1_000_000, 1_000


async def measure(plan: Plan) -> list[Figure]:
    _allow_files(WATCHERS * 2 + 100)
    starts, idle = await _started(plan, lambda: runwell(plan.folder, plan.folder / "start.db").process)
    base_starts, base_idle = await _started(plan, lambda: baseline(plan.folder))
    plan.tell(f"footprint: a start takes {median(starts):.2f} s, idle {median(idle):.1f} MB")
    watched: list[float] = []
    base_watched: list[float] = []
    # A connection's share is the mean of 2,000: two rounds say as much as many.
    for number in range(min(plan.rounds, 2)):
        watched.append(await _per_watcher(plan.folder, plan.folder / f"watchers-{number}.db"))
        base_watched.append(await _per_idle_stream(plan.folder))
        plan.tell(f"footprint: {watched[-1]:.1f} kB for each idle watcher")
    return [
        Figure(
            name="memory", what="Idle server, resident memory", unit="MB",
            measured=idle, baseline=base_idle, beside="uvicorn, raw ASGI",
            floor=Goal(at_most=100), reach=Goal(at_most=60), note="after its first answers",
        ),
        Figure(
            name="memory.watcher", what=f"Resident memory per idle event stream, {WATCHERS:,} of them open",
            unit="kB", measured=watched, baseline=base_watched, beside="uvicorn, raw ASGI, an idle stream",
            floor=Goal(at_most=40), reach=Goal(at_most=20), note="each watches a run of its own",
        ),
        Figure(
            name="start", what="From the start of the process to its first answer", unit="s",
            measured=starts, baseline=base_starts, beside="uvicorn, raw ASGI",
            floor=Goal(at_most=1.5), reach=Goal(at_most=0.7),
        ),
    ]  # fmt: skip


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


async def _started(plan: Plan, start: Callable[[], ServerProcess]) -> tuple[list[float], list[float]]:
    """Seconds of each start, and MB of each server once it idles."""
    start().stop()  # the first one compiles and makes the database
    seconds: list[float] = []
    memory: list[float] = []
    for _ in range(plan.rounds):
        await plan.quiet()
        with start() as server:
            seconds.append(server.started_in)
            await asyncio.sleep(SETTLE)
            memory.append(server.memory / MB)
    return seconds, memory


async def _per_watcher(folder: Path, database: Path) -> float:
    """kB. The runs are queued behind one that never ends, so nothing ever happens on the streams."""
    # One key watches more here than one key may by default.
    with runwell(folder, database, concurrency=1, max_streams="0") as server:
        paths = await _queue(server)
        await asyncio.sleep(SETTLE)
        before = server.process.memory
        with ExitStack() as stack:
            for path in paths:
                connection = await connect(server.port)
                stack.callback(connection.close)
                watcher = Watcher(connection)
                watcher.start(path, server.key)
                await watcher.opened
            await asyncio.sleep(SETTLE)
            return (server.process.memory - before) / WATCHERS / KB


async def _queue(server: Runwell) -> list[str]:
    body = json.dumps({"agent": "waiter", "input": None}).encode()
    submits = itertools.repeat(request("POST", "/runs", key=server.key, body=body), WATCHERS)
    paths: list[str] = []
    await press(
        server.process,
        submits,
        connections=16,
        expected=202,
        keep=lambda answer: paths.append(json.loads(answer.body)["links"]["events"]),
    )
    return paths


async def _per_idle_stream(folder: Path) -> float:
    with baseline(folder) as server, ExitStack() as stack:
        before = server.memory
        for _ in range(WATCHERS):
            connection = await connect(server.port)
            stack.callback(connection.close)
            watcher = Watcher(connection)
            watcher.start("/idle", None)
            await watcher.opened
        await asyncio.sleep(SETTLE)
        return (server.memory - before) / WATCHERS / KB

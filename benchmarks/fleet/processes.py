"""What a server and two workers do together on one PostgreSQL, all of them and the load on this machine."""

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg

from benchmarks.agents import TOKENS
from benchmarks.client import connect, request
from benchmarks.fleet.server import postgres
from benchmarks.fleet.store import BARE, READERS, rate
from benchmarks.load import press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import AGENTS, STOP_LIMIT, Runwell, ServerProcess, free_port
from benchmarks.streams import RUNS as STREAMS
from benchmarks.streams import talk
from runwell.store.postgres.database import CONNECTIONS

WORKERS = 2
RUNS = 1_500
IN_FLIGHT = 64
SECONDS = 1.5
BODY = json.dumps({"agent": "noop", "input": "What is new?"}).encode()


async def measure(plan: Plan) -> list[Figure]:
    """Submits are measured while no worker is there, so that the runs only queue, and the rest with them."""
    measured: dict[str, list[float]] = {name: [] for name in ("ask", "reads", "submits", "runs", "streams")}
    with ExitStack() as stack:
        url = stack.enter_context(postgres(plan.folder))
        server = stack.enter_context(serving(url, plan.folder))
        bare = await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS)
        await warm(server, url, plan.folder)
        for number in range(plan.rounds):
            await plan.quiet()
            measured["ask"].append(await rate(lambda _: bare.fetchval("SELECT 1"), READERS))
            submits = itertools.repeat(request("POST", "/runs", key=server.key, body=BODY))
            load = await press(server.process, submits, connections=IN_FLIGHT, expected=202, seconds=SECONDS)
            measured["submits"].append(load.rate)
            with workers(url, plan.folder):
                last = await _drained(server)
                reads = itertools.repeat(request("GET", last, key=server.key))
                load = await press(
                    server.process, reads, connections=IN_FLIGHT, expected=200, seconds=SECONDS
                )
                measured["reads"].append(load.rate)
                measured["runs"].append(RUNS / await _round(server))
                spoken = await talk(server)
                measured["streams"].append(spoken.events / spoken.seconds)
            rates = ", ".join(f"{name} {rounds[-1]:,.0f}/s" for name, rounds in measured.items())
            plan.tell(f"fleet: round {number + 1}/{plan.rounds}: {rates}")
        await bare.close()
    return _figures(measured)


def serving(url: str, folder: Path) -> Runwell:
    """A server without a worker, and a key to it."""
    command = [sys.executable, "-m", "runwell", "keys", "create", "bench", "--db", url, "--json"]
    key = json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)["secret"]
    port = free_port()
    serve = [
        sys.executable, "-m", "runwell", "serve", "--no-worker", "--port", str(port), "--db", url,
        "--log-level", "warning",
    ]  # fmt: skip
    return Runwell(ServerProcess(serve, port, folder, "/healthz", max_queue="0"), str(key))


@contextlib.contextmanager
def workers(url: str, folder: Path) -> Iterator[None]:
    work = [
        sys.executable, "-m", "runwell", "work", str(AGENTS), "--db", url, "--log-level", "warning",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNWELL_")}
    with (folder / "workers.log").open("ab") as log:
        started = [
            subprocess.Popen(work, cwd=folder, env=environment, stdout=log, stderr=log)
            for _ in range(WORKERS)
        ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(STOP_LIMIT)


async def warm(server: Runwell, url: str, folder: Path) -> None:
    """Until a worker has told the server which agents there are."""
    connection = await connect(server.port)
    with workers(url, folder):
        agents = request("GET", "/agents", key=server.key)
        while b'"noop"' not in (await connection.ask(agents)).body:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    connection.close()


async def _drained(server: Runwell) -> str:
    """Until no run is live; the path of one that has ended."""
    connection = await connect(server.port)
    live = request("GET", "/runs?status=queued&status=running&limit=1", key=server.key)
    while json.loads((await connection.ask(live)).body)["runs"]:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.02)
    ended = request("GET", "/runs?status=succeeded&limit=1", key=server.key)
    (run,) = json.loads((await connection.ask(ended)).body)["runs"]
    connection.close()
    return str(run["links"]["self"])


async def _round(server: Runwell) -> float:
    """Seconds from the first submit until all have ended."""
    submits = itertools.repeat(request("POST", "/runs", key=server.key, body=BODY), RUNS)
    began = time.perf_counter()
    await press(server.process, submits, connections=IN_FLIGHT, expected=202)
    await _drained(server)
    return time.perf_counter() - began


def _figures(measured: dict[str, list[float]]) -> list[Figure]:
    told = {
        "reads": (f"Status reads of a run that has ended, {IN_FLIGHT} in flight", Goal(ratio=0.5)),
        "submits": (f"Durable submits, {IN_FLIGHT} in flight, each on disk before its answer", Goal(900)),
        "runs": (f"{RUNS:,} runs that do nothing, from the first submit until all are final", Goal(500)),
        "streams": (
            f"{STREAMS} runs × {TOKENS} tokens, each a stored event, each run watched: events delivered",
            Goal(6_000),
        ),
    }
    return [
        Figure(
            name=f"fleet.{name}", what=what, unit="/s", measured=measured[name], baseline=measured["ask"],
            beside=BARE, floor=floor, note=f"a server, {WORKERS} workers and PostgreSQL on this machine",
        )
        for name, (what, floor) in told.items()
    ]  # fmt: skip

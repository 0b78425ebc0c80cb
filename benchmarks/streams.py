"""Many runs that talk, each with a watcher: events a second, and how soon the first one is there."""

import asyncio
import json
import time
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from benchmarks.agents import TOKENS
from benchmarks.client import Connection, connect, request
from benchmarks.event_stream import Watcher
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, ServerProcess, baseline, runwell

RUNS = 50
BODY = json.dumps({"agent": "talker", "input": "Say something."}).encode()


class Round(NamedTuple):
    """`events` were delivered in `seconds`; `first` are the milliseconds to each run's first one."""

    events: int
    seconds: float
    first: list[float]
    size: int


async def measure(plan: Plan) -> list[Figure]:
    with ExitStack() as stack:
        server = stack.enter_context(runwell(plan.folder, plan.folder / "streams.db"))
        plain = stack.enter_context(baseline(plan.folder))
        ours: list[Round] = []
        theirs: list[Round] = []
        warm = await talk(server)
        for number in range(plan.rounds):
            await plan.quiet()
            theirs.append(await _recite(plain, warm.events // RUNS, warm.size // warm.events))
            ours.append(await talk(server))
            plan.tell(
                f"streams: round {number + 1}/{plan.rounds}: {ours[-1].events / ours[-1].seconds:,.0f}/s, "
                f"first after {median(ours[-1].first):.1f} ms"
            )
        return _figures(ours, theirs, warm.size // warm.events)


def _figures(ours: list[Round], theirs: list[Round], size: int) -> list[Figure]:
    return [
        Figure(
            name="streams",
            what=f"{RUNS} runs × {TOKENS} tokens, each a stored event, each run watched: events delivered",
            unit="/s",
            measured=[each.events / each.seconds for each in ours],
            baseline=[each.events / each.seconds for each in theirs],
            beside=f"uvicorn, raw ASGI: as many events of {size} bytes to as many watchers, nothing stored",
            floor=Goal(at_least=15_000),
            reach=Goal(at_least=30_000),
            note="from the first submit to the last end; the agents talk as fast as they can",
        ),
        Figure(
            name="streams.first",
            what="The same: from a submit to its watcher's first event, median",
            unit="ms",
            measured=[median(each.first) for each in ours],
            baseline=[median(each.first) for each in theirs],
            beside="from the request to the first event",
            floor=Goal(at_most=50),
            note=f"all {RUNS} are submitted at once",
        ),
    ]


async def talk(server: Runwell) -> Round:
    """Submit all runs at once, and watch each on the connection it was submitted on."""
    connections = [await connect(server.port) for _ in range(RUNS)]
    submit = request("POST", "/runs", key=server.key, body=BODY)
    began = time.perf_counter()
    watchers = await asyncio.gather(*(_one(connection, submit, server.key) for connection in connections))
    seconds = max(watcher.last for watcher in watchers) - began
    for connection in connections:
        connection.close()
    for watcher in watchers:
        events = watcher.events()
        tokens = sum(event["type"] == "output.text_delta" for event in events)
        assert tokens == TOKENS and events[-1]["type"] == "run.succeeded", events[-1]
    count = sum(len(watcher.events()) for watcher in watchers)
    first = [(watcher.first - began) * 1e3 for watcher in watchers]
    return Round(count, seconds, first, sum(watcher.size for watcher in watchers))


async def _one(connection: Connection, submit: bytes, key: str) -> Watcher:
    answer = await connection.ask(submit)
    assert answer.status == 202, answer
    watcher = Watcher(connection)
    await watcher.follow(json.loads(answer.body)["links"]["events"], key)
    return watcher


async def _recite(plain: ServerProcess, events: int, size: int) -> Round:
    """The same number of events of the same size from an app that makes them up."""
    connections = [await connect(plain.port) for _ in range(RUNS)]
    watchers = [Watcher(connection) for connection in connections]
    began = time.perf_counter()
    await asyncio.gather(*(watcher.follow(f"/stream/{events}/{size}", None) for watcher in watchers))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    first = [(watcher.first - began) * 1e3 for watcher in watchers]
    total = sum(watcher.size for watcher in watchers)
    return Round(total // size, seconds, first, total)

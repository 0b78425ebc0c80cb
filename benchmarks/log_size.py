"""How much disk a log takes, beside its size as JSON."""

import asyncio
import itertools
import json
from pathlib import Path

import apsw

from benchmarks.client import connect, request
from benchmarks.load import press
from benchmarks.measurement import Figure, Goal, Plan
from benchmarks.server_process import Runwell, runwell

RUNS = 200
AGENTS = (("talker", "200 tokens", "log"), ("noop", "nothing", "log.noop"))


async def measure(plan: Plan) -> list[Figure]:
    figures = []
    for agent, says, name in AGENTS:
        database = plan.folder / f"{name}.db"
        with runwell(plan.folder, database) as server:
            wire, events = await _live(server, agent)
        pages = _pages(database)
        whole, log = sum(pages.values()), pages["events"]
        plan.tell(f"{name}: {events:,} events, {wire:,} bytes as JSON, {log:,} in the log, {whole:,} in all")
        figures.append(
            Figure(
                name=name,
                what=f"The log of runs that say {says}, on disk, beside its JSON as sent",
                unit="×",
                measured=[log / wire],
                floor=Goal(at_most=2),
                reach=Goal(at_most=1.2),
                note=f"{wire / events:.0f} bytes an event as JSON, {log / events:.0f} on disk; "
                f"with everything else in the file {whole / events:.0f}",
            )
        )
    return figures


async def _live(server: Runwell, agent: str) -> tuple[int, int]:
    """Run them to their ends; bytes of all events as the API sends them, and how many there are."""
    body = json.dumps({"agent": agent, "input": "Say something."}).encode()
    paths: list[str] = []
    await press(
        server.process,
        itertools.repeat(request("POST", "/runs", key=server.key, body=body), RUNS),
        connections=16,
        expected=202,
        keep=lambda answer: paths.append(json.loads(answer.body)["links"]["events"]),
    )
    connection = await connect(server.port)
    size = count = 0
    for path in paths:
        while True:
            page = await connection.ask(request("GET", f"{path}?limit=1000", key=server.key))
            if json.loads(page.body)["final"]:
                break
            await asyncio.sleep(0.01)
        events = len(json.loads(page.body)["events"])
        count += events
        # What stands between the brackets, without the commas between the events.
        size += page.body.rindex(b"]") - page.body.index(b"[") - events
    connection.close()
    return size, count


def _pages(database: Path) -> dict[str, int]:
    """Bytes of each table and index, once everything has gone from the WAL into the file."""
    db = apsw.Connection(str(database))
    db.pragma("wal_checkpoint", "truncate")
    found = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    db.close()
    return found

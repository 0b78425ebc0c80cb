"""Kill the server again and again under load, then hold everybody's memory against the log.

Four clients submit and remember what was acknowledged; one watcher follows every streaming run
across the kills; the agents keep a journal of what they really did. In the end every acknowledged
run must be there and final, with a log that tells a possible story, every finished step must be the
last thing that happened under its key, and no watcher may have seen a gap or a repeat.
"""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx

from runwell.domain.ids import parse_id
from runwell.engine.audit import audit
from tests.support.backends import a_store_at
from tests.support.live_server import LiveServer

AGENTS = ("quick", "stepped", "talker", "plain")
WRITERS = 4
TALK = "".join(f"{index} " for index in range(60))
ENOUGH_LIVE = 40
"""A writer waits while more runs than this of its own are live: the load is bounded, not the time."""


@dataclass
class History:
    """What the clients know."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    final: set[str] = field(default_factory=set)
    watched: dict[str, list[tuple[int, str, str]]] = field(default_factory=lambda: defaultdict(list))
    unsure: int = 0


@dataclass
class Report:
    cycles: int
    acknowledged: int
    events: int
    watched: int
    rescued_within: float
    faults: list[str]


async def _submit(client: httpx.AsyncClient, history: History, dice: random.Random) -> None:
    """One submit, repeated with its key until somebody answers: a lost answer must not make two runs."""
    agent = dice.choice(AGENTS)
    body = {"agent": agent, "input": f"q{dice.random()}", "max_attempts": 100}
    key = uuid4().hex
    for tries in range(2_000):
        try:
            answer = await client.post("/runs", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            history.unsure += tries == 0
            await asyncio.sleep(0.02)  # sleep: the server is dead and will be restarted
            continue
        if answer.status_code == 503:
            await asyncio.sleep(0.02)  # sleep: the server asked for patience
            continue
        assert answer.status_code == 202, answer.text
        history.acknowledged[answer.json()["id"]] = agent
        return
    raise AssertionError("no answer to a submit for too long")


async def _write(url: str, history: History, dice: random.Random, stop: asyncio.Event) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        while not stop.is_set():
            await _submit(client, history, dice)
            live = len(history.acknowledged) - len(history.final)
            await asyncio.sleep(0.005 if live < ENOUGH_LIVE else 0.05)  # sleep: the pace of the load


async def _watch(url: str, run_id: str, history: History) -> None:
    """Follow one run over SSE, across every kill, from the last number seen."""
    seen = history.watched[run_id]
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        while not (seen and seen[-1][1] in ("run.succeeded", "run.failed", "run.cancelled")):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen[-1][0] if seen else 0)}
            try:
                async with client.stream("GET", f"/runs/{run_id}/events", headers=headers) as response:
                    assert response.status_code == 200, response.status_code
                    async for line in response.aiter_lines():
                        if line.startswith("data: "):
                            event = json.loads(line[6:])
                            text = event["data"].get("text", "")
                            seen.append((event["seq"], event["type"], text))
            except httpx.TransportError:
                await asyncio.sleep(0.02)  # sleep: the server is dead and will be restarted
    history.final.add(run_id)


async def _poll(url: str, history: History, stop: asyncio.Event) -> None:
    """See which runs are final, and start a watcher for each streaming one."""
    watchers: dict[str, asyncio.Task[None]] = {}
    async with httpx.AsyncClient(base_url=url, timeout=10) as client:
        while not stop.is_set() or len(history.final) < len(history.acknowledged):
            for run_id, agent in list(history.acknowledged.items()):
                if agent == "talker" and run_id not in watchers:
                    watchers[run_id] = asyncio.create_task(_watch(url, run_id, history))
                elif agent != "talker" and run_id not in history.final:
                    try:
                        answer = await client.get(f"/runs/{run_id}")
                    except httpx.TransportError:
                        break
                    assert answer.status_code == 200, f"acknowledged {run_id} is gone: {answer.text}"
                    if answer.json()["finished_at"]:
                        history.final.add(run_id)
            await asyncio.sleep(0.05)  # sleep: the pace of polling
    await asyncio.gather(*watchers.values())


async def _taken_up(server: LiveServer) -> float:
    """Seconds from the restarted server's first answer until every run that had begun is its own."""
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=server.url) as client:
        while True:
            running = (await client.get("/runs", params={"status": "running", "limit": 100})).json()["runs"]
            queued = (await client.get("/runs", params={"status": "queued", "limit": 100})).json()["runs"]
            ours = all(f":{server.pid}" in run["worker"] for run in running)
            if ours and not any(run["attempt"] for run in queued):
                return time.monotonic() - began


def _silent(line: str) -> None:
    """Nobody wants to know."""


async def campaign(folder: Path, cycles: int, seed: int = 1, tell: Callable[[str], None] = _silent) -> Report:
    dice, history, stop = random.Random(seed), History(), asyncio.Event()
    journal = folder / "journal"
    agents = str(Path(__file__).with_name("crashing_agents.py"))
    with LiveServer(folder, agents, env={"KILL_JOURNAL": str(journal)}) as server:
        writers = [
            asyncio.create_task(_write(server.url, history, random.Random(seed + n), stop))
            for n in range(WRITERS)
        ]
        poller = asyncio.create_task(_poll(server.url, history, stop))
        slowest = 0.0
        for cycle in range(cycles):
            await asyncio.sleep(dice.uniform(0.05, 0.6))  # sleep: the moment of the kill is chance
            server.kill()
            await asyncio.to_thread(server.start)
            slowest = max(slowest, await _taken_up(server))
            tell(
                f"kill {cycle + 1}/{cycles}: {len(history.acknowledged)} runs acknowledged, "
                f"{len(history.final)} final"
            )
            for task in (*writers, poller):
                if task.done():
                    task.result()
        stop.set()
        await asyncio.gather(*writers)
        await asyncio.wait_for(poller, 120)
        code = await asyncio.to_thread(server.stop)
    faults = [] if code == 0 else [f"SIGTERM ended the server with {code}"]
    events = await _judge(server.database, history, journal, faults)
    return Report(cycles, len(history.acknowledged), events, len(history.watched), slowest, faults)


async def _judge(path: Path, history: History, journal: Path, faults: list[str]) -> int:
    """Hold the database against what the clients and the journal know; the number of events."""
    executions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in journal.read_text().splitlines():
        run_id, index, token = line.split(" ")
        executions[run_id, index].append(token)
    events = 0
    async with a_store_at(path, serving=False, durability="full") as store:
        async for _, findings in audit(store):
            faults.extend(finding.sentence for finding in findings)
        for run_id, agent in history.acknowledged.items():
            run = await store.runs.get(parse_id(run_id))
            events += run.last_seq
            if run.status != "succeeded":
                faults.append(f"{run_id} ({agent}) ended as {run.status}: {run.error}")
            for step in await store.steps.of(run.id):
                index = step.key.partition("#")[2] or "1"
                done = executions[run.id, str(int(index) - 1)]
                if done[-1] != json.loads(bytes(step.output or b"null")):
                    faults.append(
                        f"{run_id} {step.key}: done again after it had finished ({len(done)} times)"
                    )
        for run_id, seen in history.watched.items():
            if [seq for seq, _, _ in seen] != list(range(1, len(seen) + 1)):
                faults.append(f"{run_id}: its watcher saw a gap or a repeat")
            if "".join(text for _, _, text in seen) != TALK or any(
                kind == "output.restarted" for _, kind, _ in seen
            ):
                faults.append(f"{run_id}: its text was broken by a takeover")
    return events

"""Clients of a fleet that remember what they were told, and the judgement on it when all has ended.

Writers submit through the one address and remember what was acknowledged; some of it they cancel, some
waits for their answer. Watchers follow the streams across whatever happens. The agents keep a journal.
"""

import asyncio
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from runwell.domain.ids import parse_id
from runwell.domain.run import Run
from runwell.engine.audit import audit
from runwell.ports.store import Store
from tests.e2e.fleet.agents import WORDS
from tests.e2e.fleet.story import FINAL, Mark, journal, store_of
from tests.support.live_fleet import Fleet

AGENTS = ("quick", "stepped", "walker", "walker", "talker", "plain", "asking")
WRITERS = 2
ENOUGH_LIVE = 15
"""A writer waits while more runs than this are live: the load is bounded, not the time."""
KEYS = ("red", "green", *[None] * 8)
CANCELLED = 0.1
PAUSE = 0.03
TALK = "".join(f"{index} " for index in range(WORDS))
PATIENCE = 60.0


@dataclass
class Load:
    """Started and ended on one loop. `tries`: the most a run may have; else the load itself would fail."""

    fleet: Fleet
    seed: int = 1
    tries: int = 100
    acknowledged: dict[str, str] = field(default_factory=dict)
    final: dict[str, dict[str, Any]] = field(default_factory=dict)
    watched: dict[str, list[tuple[int, str, str]]] = field(default_factory=lambda: defaultdict(list))
    cancelled: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    """What requests met with that were tried again, by its kind."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _followers: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self) -> None:
        writers = [self._write(random.Random(self.seed + n)) for n in range(WRITERS)]
        self._tasks = [asyncio.create_task(each) for each in (*writers, self._poll())]

    def check(self) -> bool:
        """False while nothing is wrong. Raises what a client has met that it should not."""
        for task in (*self._tasks, *self._followers.values()):
            if task.done():
                task.result()
        return False

    async def end(self) -> None:
        """Submit nothing more, and wait until everything that was acknowledged has ended."""
        self._stop.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*self._tasks)
                await asyncio.gather(*self._followers.values())
        except TimeoutError:
            left = sorted(self.acknowledged.keys() - self.final.keys())
            raise AssertionError(f"{len(left)} runs do not end: {left[:5]}") from None

    async def _ask(
        self, http: httpx.AsyncClient, method: str, path: str, body: Any = None, key: str = ""
    ) -> httpx.Response:
        """One request, again and again until somebody answers it: 5xx is no answer."""
        headers = {"Idempotency-Key": key} if key else {}
        for _ in range(2_000):
            try:
                answer = await http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
            else:
                if answer.status_code < 500:
                    return answer
                self.refused[str(answer.status_code)] += 1
            await asyncio.sleep(PAUSE)  # sleep: somebody is dead, or away, and comes back
        raise AssertionError(f"no answer to {method} {path} for too long")

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.fleet.url, timeout=5)

    async def _write(self, dice: random.Random) -> None:
        async with self._client() as http:
            while not self._stop.is_set():
                agent = dice.choice(AGENTS)
                body = {"agent": agent, "input": f"q{dice.random()}", "max_attempts": self.tries}
                if (key := dice.choice(KEYS)) is not None and agent != "asking":
                    body["concurrency_key"] = key
                answer = await self._ask(http, "POST", "/runs", body, uuid4().hex)
                assert answer.status_code == 202, answer.text
                run_id = answer.json()["id"]
                self.acknowledged[run_id] = agent
                if dice.random() < CANCELLED:
                    said = await self._ask(http, "POST", f"/runs/{run_id}/cancel")
                    assert said.status_code in (200, 202, 409), said.text
                    self.cancelled.add(run_id)
                await asyncio.sleep(PAUSE)  # sleep: the pace of the load
                while len(self.acknowledged) - len(self.final) > ENOUGH_LIVE and not self._stop.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE)  # sleep: until runs have ended

    async def _poll(self) -> None:
        """See which runs are final, answer those that ask, and have each stream followed."""
        async with self._client() as http:
            while not self._stop.is_set() or self.final.keys() != self.acknowledged.keys():
                for run_id, agent in list(self.acknowledged.items()):
                    if run_id in self.final:
                        continue
                    if agent == "talker" and run_id not in self._followers:
                        self._followers[run_id] = asyncio.create_task(self._follow(run_id))
                    await self._look(http, run_id)
                await asyncio.sleep(PAUSE)  # sleep: the pace of polling

    async def _look(self, http: httpx.AsyncClient, run_id: str) -> None:
        answer = await self._ask(http, "GET", f"/runs/{run_id}")
        assert answer.status_code == 200, f"acknowledged {run_id} is gone: {answer.text}"
        run = answer.json()
        if run["status"] == "waiting":
            said = await self._ask(http, "POST", f"/runs/{run_id}/answer", {"answer": "yes"})
            assert said.status_code in (200, 202, 409), said.text
        elif run["finished_at"]:
            self.final[run_id] = run

    async def _follow(self, run_id: str) -> None:
        """One run over SSE, from the last number seen, at whatever server answers."""
        seen = self.watched[run_id]
        async with httpx.AsyncClient(base_url=self.fleet.url, timeout=httpx.Timeout(5, read=20)) as http:
            while not (seen and seen[-1][1] in FINAL):
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen[-1][0] if seen else 0)}
                try:
                    async with http.stream("GET", f"/runs/{run_id}/events", headers=headers) as response:
                        async for line in response.aiter_lines():
                            if line.startswith("data: ") and response.status_code == 200:
                                event = json.loads(line[6:])
                                seen.append((event["seq"], event["type"], event["data"].get("text", "")))
                except httpx.TransportError as error:
                    self.refused[type(error).__name__] += 1
                await asyncio.sleep(PAUSE)  # sleep: somebody is dead, or away, and comes back


async def judge(load: Load) -> list[str]:
    """Hold the database against what the clients and the journal know. The load has ended."""
    marks = journal(load.fleet)
    faults: list[str] = []
    async with store_of(load.fleet) as store:
        async for _, findings in audit(store):
            faults += [finding.sentence for finding in findings]
        for run_id, agent in load.acknowledged.items():
            run = await store.runs.get(parse_id(run_id))
            faults += _wrong_end(load, run, agent)
            faults += await _done_again(store, run, marks[run.id])
    for run_id, seen in load.watched.items():
        faults += _wrong_stream(run_id, seen)
    return faults


def _wrong_end(load: Load, run: Run, agent: str) -> list[str]:
    name = f"run_{run.id}"
    allowed = ("succeeded", "cancelled") if name in load.cancelled else ("succeeded",)
    if run.status in allowed:
        return []
    return [f"{name} ({agent}) ended as {run.status} after {run.tries} tries: {run.error}"]


async def _done_again(store: Store, run: Run, marks: list[Mark]) -> list[str]:
    """Steps that were done once more although the log had them as finished."""
    done: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        done[mark.what].append(mark)
    found = []
    for step in await store.steps.of(run.id):
        times = done[f"work {step.key.partition('#')[2] or '1'}"]
        if step.output is not None and times[-1].token != json.loads(bytes(step.output)):
            by = ", ".join(f"{mark.pid} at {mark.at:.3f}" for mark in times)
            found.append(f"run_{run.id} {step.key}: done again after it had finished, by {by}")
    return found


def _wrong_stream(run_id: str, seen: list[tuple[int, str, str]]) -> list[str]:
    found = []
    if [seq for seq, _, _ in seen] != list(range(1, len(seen) + 1)):
        found.append(f"{run_id}: its watcher saw a gap or a repeat")
    if seen and seen[-1][1] == "run.succeeded":
        if any(kind == "output.restarted" for _, kind, _ in seen):
            found.append(f"{run_id}: its text was begun anew by a takeover")
        elif (text := "".join(text for _, _, text in seen)) != TALK:
            found.append(f"{run_id}: its text was broken by a takeover: {text}")
    return found

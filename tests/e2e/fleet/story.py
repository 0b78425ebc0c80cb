"""Where a run goes in a fleet, and what became of it, for tests."""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from runwell.client import AsyncClient, Conflict
from runwell.client.models import Event, Run
from runwell.domain.ids import parse_id
from runwell.engine.audit import audit
from runwell.ports.store import Store
from runwell.store.postgres import Database
from tests.support.live_fleet import LAPSE, Fleet, Member

FINAL = ("run.succeeded", "run.failed", "run.cancelled")
PROMISED = LAPSE + 1.0
"""Seconds from the end of a worker until its runs are at work elsewhere."""
NOISE = 2.0
"""Seconds more that a machine with two busy processors may need for it."""
TRIES = 60


class Mark(NamedTuple):
    """A line of the journal. `at` is in seconds since the epoch."""

    what: str
    token: str
    pid: int
    at: float


def journal(fleet: Fleet) -> dict[str, list[Mark]]:
    """What the agents have really done, by run, in order."""
    marks: dict[str, list[Mark]] = defaultdict(list)
    for line in fleet.journal.read_text().splitlines():
        said = json.loads(line)
        marks[said["run"]].append(Mark(said["what"], said["token"], said["pid"], said["at"]))
    return marks


def marks_of(fleet: Fleet, run: Run) -> list[Mark]:
    return journal(fleet)[parse_id(run.id)]


@asynccontextmanager
async def client_of(member: Member) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(member.url, timeout=10) as client:
        yield client


async def until(client: AsyncClient, run_id: str, status: str, attempt: int = 0) -> Run:
    """The run at the first look at which it has the status, in this attempt or a later one."""
    async with asyncio.timeout(30):
        while True:
            run = await client.runs.get(run_id)
            if run.status == status and run.attempt >= attempt:
                return run
            assert not run.final, f"it ended as {run.status}: {run.error}"
            await asyncio.sleep(0.02)  # sleep: the pace of looking


async def on(fleet: Fleet, client: AsyncClient, worker: Member, agent: str, input: str, **more: Any) -> Run:
    """A run of the agent that is at work on this worker. Those that others took are cancelled."""
    for _ in range(TRIES):
        run = await until(client, (await client.runs.create(agent, input, **more)).id, "running")
        if fleet.at_work_on(run.worker or "") is worker:
            return run
        with contextlib.suppress(Conflict):  # it has ended by itself
            await client.runs.cancel(run.id)
    raise AssertionError("this worker takes nothing")


async def until_true(look: Callable[[], bool], patience: float = 30.0) -> None:
    """Until what other processes and tasks do has made it true."""
    async with asyncio.timeout(patience):
        while not look():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)  # sleep: the pace of looking


async def until_it_ticks(fleet: Fleet, run: Run) -> None:
    """Until the agent has begun to do what needs no database."""
    await until_true(lambda: any(mark.what == "tick" for mark in marks_of(fleet, run)))


async def log_of(client: AsyncClient, run_id: str) -> list[Event]:
    return [event async for event in client.runs.events(run_id)]


def at(event: Event) -> float:
    """Seconds since the epoch, by the database's clock, which is this machine's."""
    return event.at.timestamp()


def check_whole(log: list[Event]) -> None:
    """No gap, and one end, which is the last."""
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert [event.type for event in log if event.type in FINAL] == [log[-1].type]


async def check_steps(fleet: Fleet, client: AsyncClient, run_id: str) -> None:
    """What has finished was the last thing that was done under its key."""
    done: dict[str, list[str]] = defaultdict(list)
    for mark in journal(fleet)[parse_id(run_id)]:
        done[mark.what].append(mark.token)
    steps = await client.runs.steps(run_id)
    assert steps
    for step in steps:
        number = step.key.partition("#")[2] or "1"
        tokens = done[f"work {number}"]
        assert tokens[-1] == step.output, f"{step} was done again after it had finished: {tokens}"


@asynccontextmanager
async def store_of(fleet: Fleet) -> AsyncIterator[Store]:
    database = await Database.open(fleet.database.url(), migrates=False)
    try:
        yield database.store()
    finally:
        await database.close()


async def faults_in(fleet: Fleet) -> list[str]:
    """What the auditor says of all logs and of the queue."""
    async with store_of(fleet) as store:
        return [finding.sentence async for _, findings in audit(store) for finding in findings]


def gate(fleet: Fleet) -> Path:
    """A file that is not there yet."""
    return fleet.folder / f"gate-{time.monotonic_ns()}"

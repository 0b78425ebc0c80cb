"""Processes and the database are restarted under load: nobody notices, and nothing is lost."""

import asyncio
import time
from collections.abc import Sized
from functools import partial
from typing import Literal

import pytest

from runwell.client import AsyncClient
from tests.e2e.fleet.load import Load, judge
from tests.e2e.fleet.story import until_true
from tests.support.live_fleet import Fleet

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

RESTARTS: tuple[tuple[Literal["fast", "immediate"], float], ...] = (("fast", 1.0), ("immediate", 5.0))
"""How it is stopped, and for how many seconds it is gone."""

USERS = 4


async def _use(client: AsyncClient, stop: asyncio.Event, ended: list[str]) -> None:
    """What a program does that trusts its SDK: nothing is caught."""
    while not stop.is_set():
        run = await client.runs.create("stepped", "q", max_attempts=1)
        async for event in client.runs.events(run.id):
            last = event
        assert last.type == "run.succeeded", last
        run = await client.runs.get(run.id)
        assert (run.status, run.tries) == ("succeeded", 0), (run.reason, run.tries)
        ended.append(run.id)
        await asyncio.sleep(0.1)  # sleep: the pace of the load


def _gone_on(ended: list[str], enough: int, users: list[asyncio.Task[None]]) -> bool:
    return len(ended) >= enough or any(each.done() for each in users)


async def test_a_rolling_restart_fails_no_request_and_burns_no_try(fleet: Fleet) -> None:
    stop, ended = asyncio.Event(), list[str]()
    async with AsyncClient(fleet.url, timeout=20) as client:
        users = [asyncio.create_task(_use(client, stop, ended)) for _ in range(USERS)]
        for member in fleet.members.values():
            assert await asyncio.to_thread(member.stop) == 0, member.log
            await asyncio.to_thread(member.start)
            enough = len(ended) + len(users)
            await until_true(partial(_gone_on, ended, enough, users))
        stop.set()
        await asyncio.gather(*users)
    print(f"{len(ended)} runs over the restart of {len(fleet.members)} processes")
    assert len(ended) > 20


def _there(load: Load, runs: Sized, enough: int) -> bool:
    return load.check() or len(runs) >= enough


async def test_restarts_of_the_database_lose_nothing_that_was_acknowledged(fleet: Fleet) -> None:
    """In peace and after a crash. No run has a try to lose: nobody is taken for dead by who was deaf."""
    load = Load(fleet, tries=1)
    load.start()
    for mode, away in RESTARTS:
        enough = len(load.acknowledged) + 20
        await until_true(partial(_there, load, load.acknowledged, enough))
        await asyncio.to_thread(fleet.database.stop, mode)
        await asyncio.sleep(away)  # sleep: for as long as a restart takes
        await asyncio.to_thread(fleet.database.start)
        back, enough = time.monotonic(), len(load.final) + 10
        await until_true(partial(_there, load, load.final, enough))
        print(f"{mode}: ten runs ended within {time.monotonic() - back:.1f} s; met {dict(load.refused)}")
    await load.end()
    assert await judge(load) == []

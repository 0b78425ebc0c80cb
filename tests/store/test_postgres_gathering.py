"""Reads that come together are one question, and each has the answer it would have had by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runwell.domain.agent import AgentSpec
from runwell.domain.errors import RunNotFound, StoreUnavailable
from runwell.ports.store import Store
from runwell.store.postgres.gathering import Gathering
from tests.support.postgres import LONG, a_postgres_store, a_way
from tests.support.runs import NOW, OWNER, a_queued_run, a_running_run, an_id, say

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[Store]:
    async with a_postgres_store(postgres) as store:
        yield store


async def at_once(*asked: Any) -> list[Any]:
    """The answers, refusals among them."""
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    return answers


async def test_runs_read_at_once_are_each_ones_own_and_each_owners(store: Store) -> None:
    runs = [await a_queued_run(store, owner=owner) for owner in (OWNER, "eve") * 10]
    asked = [store.runs.get(run.id, owner) for run in runs for owner in (OWNER, "eve", None)]
    results = await at_once(*asked, store.runs.get(an_id(), OWNER), store.runs.get(an_id()))
    for number, run in enumerate(runs):
        ours, theirs, core = results[3 * number : 3 * number + 3]
        assert core == run
        mine, foreign = (ours, theirs) if run.owner == OWNER else (theirs, ours)
        assert mine == run
        assert isinstance(foreign, RunNotFound)
    assert [type(result) for result in results[-2:]] == [RunNotFound, RunNotFound]


async def test_logs_read_at_once_begin_and_end_where_each_was_asked_to(store: Store) -> None:
    runs = [await a_running_run(store) for _ in range(40)]
    for _ in range(2):
        runs = await asyncio.gather(*(say(store, run) for run in runs))
    wanted = [(number % 5, number % 4 + 1) for number in range(40)]
    logs = await asyncio.gather(
        *(store.events.read(run.id, after, limit) for run, (after, limit) in zip(runs, wanted, strict=True)),
        store.events.read(an_id(), 0, 9),
    )
    for log, (after, limit) in zip(logs, wanted, strict=False):
        assert [line.seq for line in log] == list(range(1, 5))[after : after + limit]
    assert logs[-1] == []
    alone = [await store.events.read(run.id, 0, 9) for run in runs]
    assert await asyncio.gather(*(store.events.read(run.id, 0, 9) for run in runs)) == alone


async def test_agents_and_places_asked_for_at_once_are_each_ones_own(store: Store) -> None:
    mine, everybodys = (
        AgentSpec(id=an_id(), name="echo", kind="python", owner=owner) for owner in (OWNER, None)
    )
    await store.agents.publish([mine, everybodys], NOW)
    names = [("echo", OWNER), ("echo", "eve"), ("nobody", OWNER), ("echo", OWNER)]
    found = await asyncio.gather(*(store.agents.get(*name) for name in names))
    assert [None if spec is None else spec.id for spec in found] == [mine.id, everybodys.id, None, mine.id]
    assert found == [await store.agents.get(*name) for name in names]
    runs = [await a_queued_run(store, NOW + number, priority=number % 2) for number in range(6)]
    running = await a_running_run(store)
    places = await asyncio.gather(*(store.runs.position(run) for run in (*runs, running)))
    assert places == [3, 0, 4, 1, 5, 2, None]


async def test_a_question_that_cannot_be_asked_spoils_nobodys_answer(store: Store) -> None:
    spec = AgentSpec(id=an_id(), name="echo", kind="python", owner=OWNER)
    await store.agents.publish([spec], NOW)
    names = ["echo", "a\0b", "\ud800", "echo", "élan"]
    found = await at_once(*(store.agents.get(name, OWNER) for name in names))
    assert [each.id for each in (found[0], found[3])] == [spec.id] * 2
    assert (found[1], found[4]) == (None, None)
    assert isinstance(found[2], Exception), "what it is to whoever asks by themselves"

    async def ask(keys: list[int]) -> dict[int, str]:
        if 0 in keys:
            raise ZeroDivisionError
        return {key: str(key) for key in keys}

    gathering: Gathering[int, str] = Gathering(ask, 9)
    found = await at_once(*(gathering.get(key) for key in (1, 0, 2)))
    assert (found[0], found[2]) == ("1", "2")
    assert isinstance(found[1], ZeroDivisionError)


async def test_a_read_is_never_older_than_what_was_committed_before_it(store: Store) -> None:
    run = await a_running_run(store)

    async def look() -> None:
        for _ in range(20):
            known = run.last_seq
            read = await store.runs.get(run.id)
            assert read.last_seq >= known
            assert len(await store.events.read(run.id, 0, 100)) >= read.last_seq

    async def talk() -> None:
        nonlocal run
        for _ in range(20):
            run = await say(store, run)

    await asyncio.gather(talk(), *(look() for _ in range(8)))
    assert run.last_seq == 22


async def test_what_comes_while_others_ask_is_asked_together_and_once() -> None:
    asked: list[list[int]] = []
    heard: asyncio.Queue[list[int]] = asyncio.Queue()
    gate = asyncio.Event()

    async def ask(keys: list[int]) -> dict[int, str]:
        asked.append(keys)
        heard.put_nowait(keys)
        await gate.wait()
        return {key: str(key) for key in keys if key < 100}

    gathering: Gathering[int, str] = Gathering(ask, 3)
    async with asyncio.timeout(LONG):
        first = [asyncio.ensure_future(gathering.get(1))]
        assert await heard.get() == [1]
        first.append(asyncio.ensure_future(gathering.get(2)))
        assert await heard.get() == [2]
        later = [asyncio.ensure_future(gathering.get(key)) for key in (3, 3, 100, 4)]
        given_up = asyncio.ensure_future(gathering.get(5))
        await asyncio.sleep(0)
        given_up.cancel()
        first[0].cancel()
        gate.set()
        assert await at_once(*later) == ["3", "3", None, "4"]
        assert await first[1] == "2"
    assert asked == [[1], [2], [3, 100], [4]]


async def test_without_the_database_each_reader_is_told_so(postgres: str) -> None:
    async with a_way(postgres) as way, a_postgres_store(way.url) as store:
        run = await a_running_run(store)
        way.cut()
        results = await at_once(*(store.runs.get(run.id) for _ in range(5)), store.events.read(run.id, 0, 9))
        assert [type(result) for result in results] == [StoreUnavailable] * 6
        assert len({id(result) for result in results}) == 6, "an error of one's own"
        await way.open()
        assert await store.runs.get(run.id) == run

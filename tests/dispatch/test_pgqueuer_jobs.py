"""A job is put in with the commit that makes its run due, or neither is there."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from runwell import agent
from runwell.dispatch.pgqueuer.names import TABLE
from runwell.domain.commands import Claim, HandBack
from runwell.domain.errors import RunNotFound, StoreUnavailable
from runwell.wiring.grounds import FleetGround
from tests.support.fleets import HOUR, a_ground, execute, jobs
from tests.support.postgres import a_way
from tests.support.runs import add, an_id, do, doc

pytestmark = pytest.mark.postgres


@agent
async def free() -> int:
    return 1


@agent(concurrency=1)
async def narrow() -> int:
    return 1


@pytest.fixture
async def ground(fleet: str) -> AsyncIterator[FleetGround]:
    async with a_ground(fleet, free, narrow) as ground:
        yield ground


async def test_a_queued_run_has_a_job_that_says_what_the_queue_needs_to_know(
    ground: FleetGround, fleet: str
) -> None:
    now = ground.clock.now()
    plain = (await add(ground.store, now, agent="free", priority=7)).run
    later = (await add(ground.store, now, agent="free", not_before=now + HOUR)).run
    made = (await add(ground.store, now, agent="made", definition=doc({"model": "m"}))).run
    kept = (await add(ground.store, now, agent="narrow", definition=doc({"model": "m"}))).run
    named = (await add(ground.store, now, agent="alias", definition=doc({"served_by": "narrow"}))).run
    rows = await jobs(fleet)
    assert [row[:4] for row in rows] == [
        (f"{plain.id}:1", "queued", "agent:free", 7),
        (f"{later.id}:1", "queued", "agent:free", 0),
        (f"{made.id}:1", "queued", "defined", 0),
        (f"{kept.id}:1", "queued", "agent:narrow", 0),
        (f"{named.id}:1", "queued", "by:narrow", 0),
    ]
    assert rows[1].execute_after == later.not_before, "a job never comes before its run may start"


async def test_each_attempt_has_its_own_job_and_never_two(ground: FleetGround, fleet: str) -> None:
    now = ground.clock.now()
    run = (await add(ground.store, now, agent="free")).run
    assert await ground.store.reoffer([run.id, run.id], now) == 2
    assert [row.key for row in await jobs(fleet)] == [f"{run.id}:1"]
    run = await do(ground.store, run, Claim(worker="w"), now)
    await do(ground.store, run, HandBack(), now)
    assert [row.key for row in await jobs(fleet)] == [f"{run.id}:1", f"{run.id}:2"]


async def test_an_offer_ends_the_rest_of_a_job_that_could_not_be_claimed(
    ground: FleetGround, fleet: str
) -> None:
    now = ground.clock.now()
    resting = (await add(ground.store, now, agent="free")).run
    later = (await add(ground.store, now, agent="free", not_before=now + HOUR)).run
    await execute(fleet, f"UPDATE {TABLE} SET execute_after = now() + interval '2 hours'")
    await ground.store.reoffer([resting.id, later.id], now)
    due = {row.key: row.execute_after for row in await jobs(fleet)}
    assert due[f"{resting.id}:1"] <= ground.clock.now()
    assert due[f"{later.id}:1"] == later.not_before


async def test_a_job_that_is_refused_undoes_its_run_and_no_other(ground: FleetGround, fleet: str) -> None:
    await execute(fleet, f"ALTER TABLE {TABLE} ADD CONSTRAINT refused CHECK (priority < 50)")
    now, id = ground.clock.now(), an_id()
    try:
        good, bad = await asyncio.gather(
            add(ground.store, now, agent="free", priority=49),
            add(ground.store, now, agent="free", priority=50, id=id),
            return_exceptions=True,
        )
    finally:
        await execute(fleet, f"ALTER TABLE {TABLE} DROP CONSTRAINT refused")
    assert isinstance(bad, asyncpg.CheckViolationError)
    assert not isinstance(good, BaseException)
    with pytest.raises(RunNotFound):
        await ground.store.runs.get(id)
    assert [row.key for row in await jobs(fleet)] == [f"{good.run.id}:1"]


@pytest.mark.parametrize(("loses", "left"), [("commit", 0), ("answer", 1)])
async def test_a_connection_lost_in_a_commit_leaves_both_or_neither(
    fleet: str, loses: str, left: int
) -> None:
    async with a_way(fleet) as way, a_ground(way.url, free) as ground:
        id = an_id()
        await ground.store.runs.queued(None, 1)
        way.loses = loses
        try:
            await add(ground.store, ground.clock.now(), agent="free", id=id)
        except StoreUnavailable:
            assert loses == "commit"
        assert await ground.store.runs.queued(None, 10) == left
        assert [row.key for row in await jobs(fleet)] == [f"{id}:1"] * left

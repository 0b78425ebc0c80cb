"""The queue's table and the runs disagree: made by hand, as a process leaves it that dies on a bad line."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from runwell import Context, agent
from runwell.dispatch.pgqueuer.names import TABLE
from runwell.domain.commands import Cancel, Claim, HandBack
from runwell.domain.errors import StoreUnavailable
from runwell.domain.run import Run, RunStatus
from runwell.domain.worker import Heartbeat
from runwell.wiring.grounds import FleetGround
from tests.support.fleets import (
    HOUR,
    a_fleet_machine,
    a_ground,
    abandon,
    execute,
    history,
    jobs,
    none_left,
    without_upkeep,
    workers_of,
)
from tests.support.machines import LONG, finish, types, until
from tests.support.runs import add, do

pytestmark = pytest.mark.postgres

GONE = "gone:1:a"


@agent
async def quick(ctx: Context) -> int:
    return ctx.run.attempt


@pytest.fixture
async def ground(fleet: str) -> AsyncIterator[FleetGround]:
    """Nobody is at work here: what is mended is mended by the test."""
    async with a_ground(fleet, quick) as ground:
        yield ground


async def a_run(ground: FleetGround, **fields: Any) -> Run:
    return (await add(ground.store, ground.clock.now(), agent="quick", **fields)).run


async def claimed(ground: FleetGround, run: Run, worker: str = GONE) -> Run:
    return await do(ground.store, run, Claim(worker=worker), ground.clock.now())


async def no_jobs(fleet: str) -> None:
    await execute(fleet, f"DELETE FROM {TABLE}")


async def keys(fleet: str) -> list[str]:
    return [row.key for row in await jobs(fleet)]


async def test_a_queued_run_without_a_job_is_offered_again(ground: FleetGround, fleet: str) -> None:
    plain = await a_run(ground)
    later = await a_run(ground, not_before=ground.clock.now() + HOUR)
    await no_jobs(fleet)
    assert await ground.repairs.offer_again() == 2
    assert {(row.key, row.execute_after == later.not_before) for row in await jobs(fleet)} == {
        (f"{plain.id}:1", False),
        (f"{later.id}:1", True),
    }
    assert await ground.repairs.offer_again() == 0


async def test_of_the_runs_under_a_key_that_have_no_job_only_who_may_start_is_offered(
    ground: FleetGround, fleet: str
) -> None:
    holder = await claimed(ground, await a_run(ground, concurrency_key="held"))
    await a_run(ground, concurrency_key="held")
    first = await a_run(ground, concurrency_key="free")
    await a_run(ground, concurrency_key="free")
    later = await a_run(ground, concurrency_key="held", not_before=ground.clock.now() + HOUR)
    await no_jobs(fleet)
    assert await ground.repairs.offer_again() == 2
    assert set(await keys(fleet)) == {f"{first.id}:1", f"{later.id}:1"}
    await no_jobs(fleet)
    await do(ground.store, holder, HandBack(), ground.clock.now())
    assert await ground.repairs.offer_again() == 2, "and the one under the key that is free now has a job"


@pytest.mark.parametrize("payload", [f"{'0' * 32}:1", "of another make"])
async def test_a_job_of_no_run_is_dropped_by_whoever_is_given_it(
    ground: FleetGround, fleet: str, payload: str
) -> None:
    run = await do(ground.store, await a_run(ground), Cancel(), ground.clock.now())
    await without_upkeep(fleet)
    rename = f"UPDATE {TABLE} SET dedupe_key = $1, payload = convert_to($1, 'UTF8')"
    await execute(fleet, rename, payload)
    async with a_fleet_machine(fleet, quick) as machine:
        await none_left(fleet)
        assert await machine.store.runs.get(run.id) == run
    assert await history(fleet) == ["queued", "picked", "successful"]


async def test_jobs_that_nothing_is_to_come_of_are_removed(ground: FleetGround, fleet: str) -> None:
    ended = await a_run(ground)
    ended_later = await a_run(ground, not_before=ground.clock.now() + HOUR)
    for run in (ended, ended_later):
        await do(ground.store, run, Cancel(), ground.clock.now())
    passed = await claimed(ground, await a_run(ground))
    passed = await do(ground.store, passed, HandBack(), ground.clock.now())
    running = await claimed(ground, await a_run(ground))
    assert len(await jobs(fleet)) == 5
    assert await ground.repairs.remove_passed() == 3
    assert await keys(fleet) == [f"{passed.id}:2", f"{running.id}:1"]


async def test_a_picked_job_of_an_ended_run_is_its_holder_s_to_put_away_unless_that_is_gone(
    ground: FleetGround, fleet: str
) -> None:
    run = await a_run(ground)
    await execute(fleet, f"UPDATE {TABLE} SET status = 'picked', heartbeat = now()")
    await do(ground.store, run, Cancel(), ground.clock.now())
    assert await ground.repairs.remove_passed() == 0
    await abandon(fleet, f"{run.id}:1")
    assert await ground.repairs.remove_passed() == 1


async def test_the_job_of_a_final_run_is_dropped_by_whoever_is_given_it(
    ground: FleetGround, fleet: str
) -> None:
    await without_upkeep(fleet)
    run = await do(ground.store, await a_run(ground), Cancel(), ground.clock.now())
    async with a_fleet_machine(fleet, quick) as machine:
        await none_left(fleet)
        assert await machine.store.runs.get(run.id) == run
    assert await history(fleet) == ["queued", "picked", "successful"]


async def test_a_job_that_was_picked_and_not_claimed_goes_to_another_process(
    ground: FleetGround, fleet: str
) -> None:
    await without_upkeep(fleet)
    run = await a_run(ground)
    await abandon(fleet, f"{run.id}:1")
    async with a_fleet_machine(fleet, quick) as machine:
        run = await finish(machine, run.id)
        assert (run.status, run.attempt, run.tries) == (RunStatus.SUCCEEDED, 1, 0)
        await none_left(fleet)


async def test_a_run_whose_worker_is_gone_goes_on_where_its_job_is_given(
    ground: FleetGround, fleet: str
) -> None:
    await without_upkeep(fleet)
    run = await claimed(ground, await a_run(ground))
    await abandon(fleet, f"{run.id}:1")
    async with a_fleet_machine(fleet, quick) as machine:
        run = await finish(machine, run.id)
        assert (run.status, run.attempt, run.tries) == (RunStatus.SUCCEEDED, 2, 1)
        assert await workers_of(machine, run.id) == [GONE, machine.name]
        await none_left(fleet)


@pytest.mark.parametrize("without", ["a job", "anybody to take it"])
async def test_a_run_whose_worker_is_gone_goes_on_although_nobody_is_given_its_job(
    ground: FleetGround, fleet: str, without: str
) -> None:
    run = await claimed(ground, await a_run(ground))
    if without == "a job":
        await no_jobs(fleet)
    else:
        await abandon(fleet, f"{run.id}:1")
    assert await ground.repairs.lapse_abandoned() == 1
    run = await ground.store.runs.get(run.id)
    assert (run.status, run.tries) == (RunStatus.QUEUED, 1)
    await ground.repairs.remove_passed()
    assert await keys(fleet) == [f"{run.id}:2"]


async def test_a_run_without_a_job_whose_worker_is_alive_is_left_to_it(
    ground: FleetGround, fleet: str
) -> None:
    run = await claimed(ground, await a_run(ground), "alive:1:a")
    await no_jobs(fleet)
    now = ground.clock.now()
    beat = Heartbeat(name="alive:1:a", host="h", pid=1, version="1", started_at=now, seen_at=now, lapse=9.0)
    await ground.store.workers.beat(beat)
    assert await ground.repairs.lapse_abandoned() == 0
    await ground.store.workers.beat(replace(beat, seen_at=now - HOUR))
    assert await ground.repairs.lapse_abandoned() == 1
    assert (await ground.store.runs.get(run.id)).status is RunStatus.QUEUED


async def test_a_process_that_lost_its_job_before_it_claimed_leaves_the_run_to_who_has_it(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood still between the two, for longer than the lapse."""
    began, go_on, released = asyncio.Event(), asyncio.Event(), threading.Event()

    @agent
    async def waits(ctx: Context) -> int:
        await asyncio.to_thread(released.wait, LONG)
        return ctx.run.attempt

    async with a_fleet_machine(fleet, waits) as late:
        claim = late.worker._claim

        async def claims_late(*given: Any) -> Any:
            began.set()
            await go_on.wait()
            return await claim(*given)

        monkeypatch.setattr(late.worker, "_claim", claims_late)
        run = (await add(late.store, late.clock.now(), agent="waits")).run
        await began.wait()
        async with a_fleet_machine(fleet, waits) as taker:
            await late.dispatcher.stop()
            await abandon(fleet, f"{run.id}:1")
            await until(taker, run.id, lambda run: run.status is RunStatus.RUNNING)
            go_on.set()
            await late.dispatcher.close()
            assert [(row.key, row.status) for row in await jobs(fleet)] == [(f"{run.id}:1", "picked")]
            released.set()
            run = await finish(taker, run.id)
            assert (run.status, run.attempt, run.tries) == (RunStatus.SUCCEEDED, 1, 0)
            assert "attempt.lost" not in await types(taker, run.id)


async def test_a_claim_whose_answer_was_lost_burns_no_try(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database went down with it: until it is back nobody knows, and then it was not the worker."""
    monkeypatch.setattr("runwell.dispatch.pgqueuer.dispatcher.REST", 0.01)
    await without_upkeep(fleet)
    async with a_fleet_machine(fleet, quick) as machine, a_fleet_machine(fleet, quick) as other:
        await other.dispatcher.stop()
        commit, get, left = machine.store.runs.commit, machine.store.runs.get, 0

        async def in_doubt(change: Any, *given: Any, **named: Any) -> Run:
            nonlocal left
            run = await commit(change, *given, **named)
            if change.command == "claim" and run.attempt == 1:
                left = 3
                raise StoreUnavailable("it was lost", "it may have been written")
            return run

        async def away(*given: Any) -> Run:
            nonlocal left
            if left > 0:
                left -= 1
                raise StoreUnavailable("it is away", "wait")
            return await get(*given)

        monkeypatch.setattr(machine.store.runs, "commit", in_doubt)
        monkeypatch.setattr(machine.store.runs, "get", away)
        run = (await add(other.store, other.clock.now(), agent="quick", max_attempts=1)).run
        run = await finish(other, run.id)
        assert (run.status, run.attempt, run.tries) == (RunStatus.SUCCEEDED, 2, 0)
        assert (await history(fleet)).count("queued") == 2, "each attempt had one job, which was kept"

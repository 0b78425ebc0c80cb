"""What nobody foresaw in the queue: it costs a look, not the process."""

import asyncio

import pytest

from runwell import agent
from runwell.dispatch.pgqueuer import queue
from runwell.dispatch.pgqueuer.driver import StoreDriver
from runwell.dispatch.pgqueuer.names import TABLE
from runwell.domain.run import RunStatus
from tests.support.fleets import a_fleet_machine, a_ground, execute, jobs, none_left
from tests.support.machines import LONG, OWNER, cancel, finish, start, until
from tests.support.runs import add

pytestmark = pytest.mark.postgres


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


@agent
async def quick() -> int:
    return 1


@pytest.mark.parametrize("statement", ["SKIP LOCKED", "eta"])
async def test_a_look_that_fails_unforeseen_waits_for_no_run_that_is_at_work(
    fleet: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(queue, "REST", 0.0)
    armed, failed, fetch = False, asyncio.Event(), StoreDriver.fetch

    async def fails_once(self: StoreDriver, query: str, *args: object) -> list[dict[str, object]]:
        if armed and statement in query and not failed.is_set():
            failed.set()
            raise ZeroDivisionError("nobody foresaw it")
        return await fetch(self, query, *args)

    monkeypatch.setattr(StoreDriver, "fetch", fails_once)
    async with a_fleet_machine(fleet, hangs, quick) as machine:
        long = await start(machine, "hangs")
        await until(machine, long.id, lambda run: run.status is RunStatus.RUNNING)
        armed = True
        async with asyncio.timeout(LONG):
            await failed.wait()
        assert (await finish(machine, (await start(machine, "quick")).id)).status is RunStatus.SUCCEEDED
        assert (await machine.store.runs.get(long.id)).status is RunStatus.RUNNING
        await cancel(machine, long.id)


async def test_what_a_damaged_job_says_beside_its_run_keeps_nobody_from_theirs(fleet: str) -> None:
    async with a_ground(fleet, quick) as ground:
        now = ground.clock.now()
        runs = [(await add(ground.store, now, agent="quick", owner=OWNER)).run for _ in range(3)]
    await execute(fleet, f"UPDATE {TABLE} SET headers = '[1]' WHERE dedupe_key = $1", f"{runs[0].id}:1")
    async with a_fleet_machine(fleet, quick) as machine:
        assert [(await finish(machine, run.id)).attempt for run in runs] == [1, 1, 1]
        await none_left(fleet)
    assert await jobs(fleet) == []

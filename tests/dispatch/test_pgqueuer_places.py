"""What one process of a fleet takes, and what it leaves behind."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager

from runwell import Context, agent
from runwell.dispatch.pgqueuer import PgQueuerDispatcher
from runwell.dispatch.pgqueuer.names import TABLE
from runwell.domain.errors import Unavailable
from runwell.domain.run import RunStatus
from tests.support.asgi import soon
from tests.support.fleets import (
    a_fleet_machine,
    a_ground,
    execute,
    history,
    jobs,
    none_left,
    without_upkeep,
    workers_of,
)
from tests.support.machines import LONG, OWNER, cancel, finish, run_to_end, start, types, until
from tests.support.postgres import a_way
from tests.support.runs import add, doc

pytestmark = pytest.mark.postgres


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


@agent
async def quick() -> int:
    return 1


@agent
async def hangs_at_first(ctx: Context) -> int:
    if ctx.run.attempt == 1:
        await asyncio.Event().wait()
    return ctx.run.attempt


async def test_a_process_takes_no_more_jobs_than_it_has_places(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    look = PgQueuerDispatcher._room

    def seen(self: PgQueuerDispatcher, takes: Any) -> tuple[int, frozenset[str]]:
        room = look(self, takes)
        looks.append(room[0])
        return room

    monkeypatch.setattr(PgQueuerDispatcher, "_room", seen)
    async with a_ground(fleet, hangs) as ground:
        now = ground.clock.now()
        runs = [(await add(ground.store, now, agent="hangs", owner=OWNER)).run for _ in range(5)]
    async with a_fleet_machine(fleet, hangs, concurrency=2) as machine:
        await soon(lambda: looks and looks[-1] <= 0)
        assert [row.status for row in await jobs(fleet)] == ["picked"] * 2 + ["queued"] * 3
        assert looks[-1] == 0
        await cancel(machine, runs[0].id)
        await until(machine, runs[2].id, lambda run: run.status is RunStatus.RUNNING)


async def test_a_run_that_an_agent_in_code_does_under_another_name_goes_to_who_serves_that_agent(
    fleet: str,
) -> None:
    async with a_fleet_machine(fleet, hangs) as without:
        run = (
            await add(
                without.store,
                without.core.clock.now(),
                agent="alias",
                owner=OWNER,
                definition=doc({"served_by": "quick"}),
            )
        ).run
        last = await start(without, "hangs")
        await until(without, last.id, lambda run: run.status is RunStatus.RUNNING)
        left = next(row for row in await jobs(fleet) if row.key == f"{run.id}:1")
        assert (left.status, left.attempts) == ("queued", 0), "it was tried in vain"
        async with a_fleet_machine(fleet, quick) as serves:
            assert (await finish(serves, run.id)).status is RunStatus.SUCCEEDED
            assert await workers_of(serves, run.id) == [serves.name]
        await cancel(without, last.id)


async def test_a_process_that_stops_hands_back_and_another_goes_on(fleet: str) -> None:
    async with a_fleet_machine(fleet, hangs_at_first) as stays:
        async with a_fleet_machine(fleet, hangs_at_first, concurrency=1) as leaves:
            await stays.dispatcher.stop()
            run = await start(stays, "hangs_at_first")
            await until(stays, run.id, lambda run: run.status is RunStatus.RUNNING)
        assert (await stays.store.runs.get(run.id)).status is RunStatus.QUEUED
        assert [row.key for row in await jobs(fleet)] == [f"{run.id}:2"]
        async with a_fleet_machine(fleet, hangs_at_first) as comes:
            run = await finish(comes, run.id)
            assert (run.status, run.attempt, run.tries) == (RunStatus.SUCCEEDED, 2, 0)
            assert await workers_of(comes, run.id) == [leaves.name, comes.name]
            assert "attempt.handed_back" in await types(comes, run.id)
        assert await jobs(fleet) == []


async def test_a_job_is_found_although_every_notification_is_lost(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwell.dispatch.pgqueuer.dispatcher.LONGEST_SLEEP", 0.2)
    await execute(fleet, f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
    try:
        async with a_fleet_machine(fleet, quick) as machine, a_ground(fleet, quick) as ground:
            monkeypatch.setattr(machine.dispatcher, "wake", lambda: None)
            run = (await add(ground.store, ground.clock.now(), agent="quick")).run
            assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
    finally:
        await execute(fleet, f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")


async def test_a_process_can_stop_while_its_queue_waits_for_the_database(
    fleet: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Queries.eligible_queued_work
    async with a_way(fleet) as way, a_fleet_machine(way.url, quick) as machine:

        async def asks(self: Queries, entrypoints: Any) -> int:
            way.cut()
            return await ask(self, entrypoints)

        monkeypatch.setattr(Queries, "eligible_queued_work", asks)
        machine.dispatcher.wake()
        await soon(lambda: "the queue waits for the database" in caplog.text)
        await machine.dispatcher.stop()
        closing = asyncio.create_task(machine.dispatcher.close())
        done, _ = await asyncio.wait({closing}, timeout=LONG)
        assert done


async def test_a_job_that_cannot_be_judged_is_kept_until_the_database_is_back(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, missed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    await without_upkeep(fleet)
    async with a_way(fleet) as way, a_fleet_machine(way.url, quick) as machine:
        claim, judges = machine.worker._claim, PgQueuerDispatcher._still_waits

        async def claims_late(*given: Any) -> Any:
            began.set()
            await go_on.wait()
            return await claim(*given)

        async def asks(self: PgQueuerDispatcher, *given: Any) -> bool:
            try:
                return await judges(self, *given)
            except Unavailable:
                missed.set()
                raise

        monkeypatch.setattr(machine.worker, "_claim", claims_late)
        monkeypatch.setattr(PgQueuerDispatcher, "_still_waits", asks)
        run = await start(machine, "quick")
        await began.wait()
        way.cut()
        go_on.set()
        await missed.wait()
        await way.open()
        assert (await finish(machine, run.id)).status is RunStatus.SUCCEEDED
        await none_left(fleet)
    assert (await history(fleet)).count("queued") == 2, "it was put back"


async def test_hearts_beat_so_fast_that_a_process_is_fenced_before_its_jobs_are_given_away(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PgQueuer beats at a half of what it is told, and writes up to 0.15 of it later."""
    told: dict[str, timedelta] = {}
    run, ask = QueueManager.run, QueryQueueBuilder.build_dequeue_query

    async def runs(self: QueueManager, **given: Any) -> None:
        told["beats"] = given["heartbeat_timeout"]
        await run(self, **given)

    def asks(self: QueryQueueBuilder, **given: Any) -> Any:
        told["taken after"] = given["heartbeat_timeout"]
        return ask(self, **given)

    monkeypatch.setattr(QueueManager, "run", runs)
    monkeypatch.setattr(QueryQueueBuilder, "build_dequeue_query", asks)
    async with a_fleet_machine(fleet, quick, lapse=9.0) as machine:
        await run_to_end(machine, "quick")
    assert told["taken after"] == timedelta(seconds=9)
    oldest = told["beats"] * 0.65
    assert told["taken after"] - oldest > timedelta(seconds=9) * 2 / 3

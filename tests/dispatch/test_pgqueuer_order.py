"""Who starts when, over all the machines of a fleet."""

import asyncio
import threading
from collections import Counter
from typing import Any

import msgspec
import pytest

from runwell import Context, agent
from runwell.agents.model import ModelRunner
from runwell.domain.agent import ModelAgent, ServedBy
from runwell.domain.json_gate import Json
from runwell.domain.run import Run, RunStatus
from runwell.domain.thread import IfBusy
from runwell.engine import threads
from runwell.wiring import Machine
from tests.support.fleets import Crowd, a_fleet_machine, a_ground, history, none_left, workers_of
from tests.support.machines import LONG, OWNER, cancel, finish, start, until
from tests.support.runs import add

pytestmark = pytest.mark.postgres

SERVED_BY = Json(msgspec.json.encode(ServedBy("counted")))
"""The definition of an agent made through the API: the agent in code of that name answers for it."""


def a_counting_agent(crowd: Crowd, meets: threading.Barrier | None = None) -> Any:
    """Its input is what counts as one kind. With `meets`, it goes on when as many others are there."""

    @agent
    async def counted(ctx: Context) -> None:
        with crowd.inside(str(ctx.input), ctx.run.priority):
            await ctx.step("a way to the database and back", int)
            if meets is not None:
                await asyncio.to_thread(meets.wait, LONG)

    return counted


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


async def until_all_end(machine: Machine, runs: list[Run]) -> None:
    ended = [await finish(machine, run.id) for run in runs]
    assert {run.status for run in ended} == {RunStatus.SUCCEEDED}


async def test_the_higher_priority_goes_first(fleet: str) -> None:
    crowd = Crowd()
    counted = a_counting_agent(crowd)
    async with a_ground(fleet, counted) as ground:
        for priority in (1, 3, 2):
            now = ground.clock.now()
            run = (await add(ground.store, now, agent="counted", priority=priority)).run
    async with a_fleet_machine(fleet, counted, concurrency=1) as machine:
        await finish(machine, run.id)
        await none_left(fleet)
    assert crowd.order == [3, 2, 1]


async def test_a_delayed_run_is_tried_once_and_not_before_its_time(fleet: str) -> None:
    counted = a_counting_agent(Crowd())
    async with a_fleet_machine(fleet, counted) as machine:
        due = machine.clock.now() + 200_000
        run = await start(machine, "counted", not_before=due)
        ended = await finish(machine, run.id)
        assert ended.started_at is not None
        assert ended.started_at >= due
        await none_left(fleet)
    assert await history(fleet) == ["queued", "picked", "successful"]


async def test_a_thread_goes_on_in_order_over_two_machines(fleet: str) -> None:
    crowd = Crowd()
    counted = a_counting_agent(crowd)
    async with a_fleet_machine(fleet, counted) as one, a_fleet_machine(fleet, counted) as two:
        thread = (await threads.create(one.core, OWNER)).id
        fields: dict[str, Any] = {"thread_id": thread, "if_busy": IfBusy.QUEUE}
        runs = [
            await start(machine, "counted", "in order", priority=place, **fields)
            for place, machine in enumerate([one, two] * 4)
        ]
        await until_all_end(one, runs)
    assert crowd.order == list(range(8))
    assert crowd.most == Counter({"in order": 1})


async def test_an_agent_s_limit_holds_over_two_machines(fleet: str) -> None:
    crowd = Crowd()
    counted = a_counting_agent(crowd, threading.Barrier(2))
    narrow = ModelRunner("narrow", ModelAgent(model="m"), concurrency=2)
    async with (
        a_fleet_machine(fleet, counted, narrow) as one,
        a_fleet_machine(fleet, counted, narrow) as two,
    ):
        made = [
            add(machine.store, machine.clock.now(), agent="narrow", definition=SERVED_BY)
            for machine in [one, two] * 4
        ]
        runs = [added.run for added in await asyncio.gather(*made)]
        await until_all_end(one, runs)
    assert crowd.most == Counter(hello=2)


async def test_of_a_concurrency_key_one_run_goes_on_at_a_time_in_the_whole_fleet(fleet: str) -> None:
    crowd = Crowd()
    # One of each key meets one of the other: with a place each, both machines have their part.
    counted = a_counting_agent(crowd, threading.Barrier(2))
    async with (
        a_fleet_machine(fleet, counted, concurrency=1) as one,
        a_fleet_machine(fleet, counted, concurrency=1) as two,
    ):
        wanted = [
            start(machine, "counted", key, concurrency_key=key)
            for _ in range(3)
            for key in ("a", "b")
            for machine in (one, two)
        ]
        runs = await asyncio.gather(*wanted)
        await until_all_end(two, runs)
        took = {(await workers_of(one, run.id))[0] for run in runs}
    assert crowd.most == Counter(a=1, b=1)
    assert took == {one.name, two.name}, "both had their part, so it was the fleet that kept the order"


async def test_a_delayed_run_follows_at_once_when_the_key_it_waited_for_is_free(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwell.dispatch.pgqueuer.dispatcher.REST", 3600.0)
    monkeypatch.setattr("runwell.dispatch.pgqueuer.dispatcher.LONGEST_REST", 3600.0)

    counted = a_counting_agent(Crowd())
    async with a_fleet_machine(fleet, counted, hangs) as machine:
        holder = await start(machine, "hangs", concurrency_key="k")
        await until(machine, holder.id, lambda run: run.status is RunStatus.RUNNING)
        late = await start(machine, "counted", concurrency_key="k", not_before=machine.clock.now() + 1)
        await cancel(machine, holder.id)
        assert (await finish(machine, late.id)).status is RunStatus.SUCCEEDED


async def test_what_any_worker_can_run_goes_to_all_and_the_rest_to_who_serves_it(fleet: str) -> None:
    counted = a_counting_agent(Crowd(), threading.Barrier(2))

    @agent
    async def other() -> int:
        return 1

    async with (
        a_fleet_machine(fleet, counted, concurrency=1) as left,
        a_fleet_machine(fleet, counted, other, concurrency=1) as right,
    ):
        now = left.clock.now()
        there = [(await add(left.store, now, agent="other")).run for _ in range(4)]
        await until_all_end(left, there)
        assert {tuple(await workers_of(left, run.id)) for run in there} == {(right.name,)}
        made = [(await add(left.store, now, agent="made", definition=SERVED_BY)).run for _ in range(2)]
        await until_all_end(left, made)
        took = [await workers_of(left, run.id) for run in made]
        assert sorted(took) == sorted([[left.name], [right.name]])

"""A process of the fleet is gone, held or cut off: its runs go on elsewhere, once and soon."""

import asyncio
import os
import time

import pytest

from runwell.client import AsyncClient
from tests.e2e.fleet.story import (
    NOISE,
    PROMISED,
    at,
    check_steps,
    check_whole,
    client_of,
    gate,
    log_of,
    marks_of,
    on,
    until_it_ticks,
    until_true,
)
from tests.support.live_fleet import LAPSE, Fleet, a_cable

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]


async def at_work_elsewhere(client: AsyncClient, run_id: str, since: float) -> float:
    """Seconds from then until the run was at work again, one try later."""
    began = 0.0
    async with asyncio.timeout(30):
        async for event in client.runs.events(run_id):
            if event.type == "attempt.started" and event.data["attempt"] == 2:
                began = at(event)
                break
    assert (await client.runs.get(run_id)).tries == 1
    return began - since


async def end_well(fleet: Fleet, client: AsyncClient, run_id: str) -> None:
    run = await client.runs.wait(run_id, timeout=20)
    assert (run.status, run.attempt) == ("succeeded", 2), run.error
    check_whole(await log_of(client, run_id))
    await check_steps(fleet, client, run_id)


async def test_what_killed_processes_were_doing_goes_on_elsewhere(fleet: Fleet) -> None:
    """A worker, and a server with a worker inside."""
    door = gate(fleet)
    victims = [fleet["c"], fleet["a"]]
    dead = {each.pid for each in victims}
    async with client_of(fleet["b"]) as client:
        runs = [await on(fleet, client, each, "busy", str(door)) for each in victims]
        killed = time.time()
        await asyncio.gather(*(asyncio.to_thread(each.kill) for each in victims))
        took = [await at_work_elsewhere(client, run.id, killed) for run in runs]
        print(f"killed: taken over in {took[0]:.2f} s and {took[1]:.2f} s")
        assert max(took) < PROMISED + NOISE
        for run in runs:
            # It goes on behind what it remembers; with the door open it would end at the first step.
            await until_true(lambda: any(mark.pid not in dead for mark in marks_of(fleet, run)))  # noqa: B023
        door.touch()
        for run in runs:
            await end_well(fleet, client, run.id)
            assert {mark.pid for mark in marks_of(fleet, run)} - dead == {fleet["d"].pid}


async def test_a_worker_that_stood_still_comes_back_as_nobody(fleet: Fleet) -> None:
    door = gate(fleet)
    async with client_of(fleet["b"]) as client:
        run = await on(fleet, client, fleet["c"], "ticking", str(door))
        await until_it_ticks(fleet, run)
        held = time.time()
        fleet["c"].hold()
        took = await at_work_elsewhere(client, run.id, held)
        print(f"held: taken over in {took:.2f} s")
        assert took < PROMISED + NOISE
        mark = fleet["c"].mark()
        fleet["c"].go_on()
        await asyncio.to_thread(fleet["c"].wait_for, "this process is heard again", mark)
        door.touch()
        await end_well(fleet, client, run.id)
        late = [each for each in marks_of(fleet, run) if each.pid == fleet["c"].pid and each.at > held]
        assert all(each.what == "tick" for each in late), "it began a step that is another's"
        assert len(late) <= 10, "it went on for longer than it takes to notice"


async def check_cut_off(fleet: Fleet, name: str, run_id: str, client: AsyncClient, since: float) -> None:
    """It stopped by itself before others began, and these began in time."""
    took = await at_work_elsewhere(client, run_id, since)
    run = await client.runs.get(run_id)
    marks = [mark for mark in marks_of(fleet, run) if mark.pid == fleet[name].pid]
    stopped = marks[-1].at - since
    assert stopped > 0
    print(f"{name} cut off: it stopped after {stopped:.2f} s, taken over in {took:.2f} s")
    assert stopped < min(took, LAPSE), "two worked on it at once"
    assert took < PROMISED + NOISE


async def test_a_worker_that_is_refused_the_database_fences_itself(fleet: Fleet) -> None:
    door = gate(fleet)
    async with client_of(fleet["b"]) as client:
        run = await on(fleet, client, fleet["d"], "ticking", str(door))
        await until_it_ticks(fleet, run)
        cut = time.time()
        assert fleet["d"].way is not None
        fleet["d"].way.cut()
        await check_cut_off(fleet, "d", run.id, client, cut)
        mark = fleet["d"].mark()
        fleet["d"].way.mend()
        await asyncio.to_thread(fleet["d"].wait_for, "this process is heard again", mark)
        door.touch()
        await end_well(fleet, client, run.id)
        back = await on(fleet, client, fleet["d"], "patient", str(gate(fleet)))  # it is one of them again
        await client.runs.cancel(back.id)


async def test_a_worker_whose_cable_is_pulled_fences_itself(fleet: Fleet) -> None:
    door = gate(fleet)
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with a_cable() as cable:
        lone = fleet.add("e", "worker", host=cable.here, space=cable.space)
        try:
            await asyncio.to_thread(lone.start)
            async with client_of(fleet["b"]) as client:
                run = await on(fleet, client, lone, "ticking", str(door))
                await until_it_ticks(fleet, run)
                cut = time.time()
                cable.unplug()
                await check_cut_off(fleet, "e", run.id, client, cut)
                cable.plug()
                door.touch()
                await end_well(fleet, client, run.id)
        finally:
            fleet.remove("e")

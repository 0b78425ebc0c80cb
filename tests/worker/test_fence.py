"""Attempts of a process that others cannot hear, or that has lost its run and does not know."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runwell import Context, agent
from runwell.domain.commands import Claim
from runwell.domain.errors import StoreUnavailable
from runwell.domain.json_gate import decode
from runwell.domain.run import Run, RunStatus
from runwell.wiring import Machine
from runwell.worker.upkeep.rescue import rescue
from tests.support.asgi import soon
from tests.support.fleets import a_fleet_machine, none_left, workers_of
from tests.support.machines import LONG, a_machine, finish, start, types, until_said, whole_log
from tests.support.postgres import a_way
from tests.support.runs import add, do

pytestmark = pytest.mark.postgres

LAPSE = 1.0


class Zombie:
    """An agent whose first attempt goes on until it is told to, and says something then."""

    def __init__(self) -> None:
        self.begun, self.awake, self.stopped = (threading.Event() for _ in range(3))

        @agent
        async def zombie(ctx: Context) -> int:
            if ctx.run.attempt > 1:
                return ctx.run.attempt
            try:
                await ctx.text("early ")
                self.begun.set()
                await asyncio.to_thread(self.awake.wait, LONG)
                await ctx.text("late")
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
            return 0

        self.agent = zombie

    async def until_begun(self, machine: Machine) -> Run:
        run = await start(machine, "zombie")
        assert await asyncio.to_thread(self.begun.wait, LONG)
        await until_said(machine, run.id, lambda log: "output.text_delta" in [line.type for line in log])
        return await machine.store.runs.get(run.id)


@pytest.fixture
def zombie() -> Iterator[Zombie]:
    zombie = Zombie()
    yield zombie
    zombie.awake.set()  # its thread would hold up the end of the tests


async def text_of(machine: Machine, run: Run) -> str:
    log = await whole_log(machine, run.id)
    return "".join(getattr(line.event, "text", "") for line in log if line.type == "output.text_delta")


async def test_a_fenced_attempt_is_stopped_and_handed_back_as_soon_as_somebody_hears_it(
    fleet: str, zombie: Zombie
) -> None:
    async with a_way(fleet) as way, a_fleet_machine(way.url, zombie.agent, lapse=LAPSE) as machine:
        run = await zombie.until_begun(machine)
        way.cut()
        zombie.awake.set()
        assert await asyncio.to_thread(zombie.stopped.wait, LONG), "nobody hears it: it must not go on"
        assert machine.worker.takes().free == frozenset()
        await way.open()
        run = await finish(machine, run.id)
        assert (run.attempt, run.tries) == (2, 0)
        assert "attempt.handed_back" in await types(machine, run.id)
        assert machine.worker.takes().free == frozenset({"zombie"})
        await none_left(fleet)


async def test_what_a_superseded_attempt_says_is_refused_and_its_agent_stopped(
    fleet: str, zombie: Zombie
) -> None:
    async with (
        a_fleet_machine(fleet, zombie.agent, concurrency=1) as loser,
        a_fleet_machine(fleet, zombie.agent) as winner,
    ):
        await winner.dispatcher.stop()
        run = await zombie.until_begun(loser)
        await rescue(winner.store, winner.clock, run)
        async with a_fleet_machine(fleet, zombie.agent) as taker:
            run = await finish(taker, run.id)
            zombie.awake.set()
            assert await asyncio.to_thread(zombie.stopped.wait, LONG)
            await soon(lambda: not loser.worker.attempts)
            assert await workers_of(taker, run.id) == [loser.name, taker.name]
            assert decode(run.output or b"") == 2
            assert await text_of(taker, run) == "early "
            assert await taker.store.runs.get(run.id) == run


async def test_an_attempt_whose_run_is_another_s_ends_although_it_says_nothing(
    fleet: str, zombie: Zombie
) -> None:
    async with a_fleet_machine(fleet, zombie.agent, concurrency=1) as loser:
        run = await zombie.until_begun(loser)
        await rescue(loser.store, loser.clock, run)
        await loser.worker.check()
        await loser.worker.check()
        await soon(lambda: run.id not in loser.worker._attempts)
        assert decode((await finish(loser, run.id)).output or b"") == 2
        zombie.awake.set()
        assert await asyncio.to_thread(zombie.stopped.wait, LONG)


async def test_a_run_that_comes_back_to_who_has_lost_it_ends_the_earlier_attempt(
    fleet: str, zombie: Zombie
) -> None:
    async with a_fleet_machine(fleet, zombie.agent, concurrency=2) as machine:
        run = await zombie.until_begun(machine)
        await rescue(machine.store, machine.clock, run)
        run = await finish(machine, run.id)
        zombie.awake.set()
        assert await asyncio.to_thread(zombie.stopped.wait, LONG)
        await soon(lambda: not machine.worker.attempts)
        assert await workers_of(machine, run.id) == [machine.name] * 2
        assert (run.attempt, run.tries) == (2, 1)
        assert (machine.worker._attempts, +machine.worker._busy) == ({}, {})


async def test_a_claim_that_nobody_here_knows_of_is_handed_back(fleet: str, zombie: Zombie) -> None:
    async with a_fleet_machine(fleet, zombie.agent) as machine:
        await machine.dispatcher.stop()
        now = machine.clock.now()
        run = (await add(machine.store, now, agent="zombie")).run
        await do(machine.store, run, Claim(worker=machine.name), now)
        await machine.worker.check()
        assert (await machine.store.runs.get(run.id)).status is RunStatus.RUNNING, "it may be about to begin"
        await machine.worker.check()
        run = await machine.store.runs.get(run.id)
        assert (run.status, run.tries) == (RunStatus.QUEUED, 0)


@pytest.mark.sqlite
async def test_an_attempt_that_was_claimed_while_the_process_came_to_be_fenced_does_not_begin(
    tmp_path: Path,
) -> None:
    begun: list[int] = []

    @agent
    async def counts(ctx: Context) -> None:
        begun.append(ctx.run.attempt)

    async with a_machine(tmp_path / "runs.db", counts) as machine:
        commit = machine.store.runs.commit

        async def fenced(change: Any, *given: Any, **named: Any) -> Run:
            if change.command == "claim" and change.run.attempt == 1:
                machine.worker.fence()
            elif change.command == "hand_back":
                machine.worker.unfence()
            return await commit(change, *given, **named)

        machine.store.runs.commit = fenced  # type: ignore[method-assign]
        run = await finish(machine, (await start(machine, "counts")).id)
        assert (run.attempt, run.tries, begun) == (2, 0, [2])


@pytest.mark.sqlite
async def test_a_machine_that_is_alone_goes_on_however_long_its_disk_is_away(
    tmp_path: Path, zombie: Zombie, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [0]

    async def away(*given: object) -> None:
        asked[0] += 1
        raise StoreUnavailable("the disk is full")

    async with a_machine(tmp_path / "runs.db", zombie.agent, lapse=0.1) as machine:
        run = await zombie.until_begun(machine)
        monkeypatch.setattr(machine.store.workers, "beat", away)
        await soon(lambda: asked[0] >= 6)
        assert (await machine.store.runs.get(run.id)).status is RunStatus.RUNNING
        assert not zombie.stopped.is_set()

"""In a fleet it is as late as the database says, whatever a machine's own clock shows."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from runwell import agent
from runwell.domain.instant import Instant
from runwell.domain.run import Reason, RunStatus
from runwell.store.postgres import Database, clock
from runwell.store.postgres.pool import Pool
from tests.support.fleets import HOUR, a_fleet_machine, a_ground
from tests.support.machines import finish, start, until
from tests.support.postgres import a_session
from tests.support.runs import add

pytestmark = pytest.mark.postgres

MINUTE = HOUR // 60


@agent
async def quick() -> int:
    return 1


@agent
async def hangs() -> None:
    await asyncio.Event().wait()


class Wall:
    """The machine's clock, `off` by so many µs."""

    def __init__(self, off: int) -> None:
        self.off = off
        self._right = time.time_ns

    def __call__(self) -> int:
        return self._right() + self.off * 1_000


@pytest.fixture(params=[HOUR, -HOUR], ids=["fast", "slow"])
def wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall(request.param)
    monkeypatch.setattr(time, "time_ns", wall)
    return wall


@pytest.fixture
async def database(fleet: str) -> AsyncIterator[Database]:
    database = await Database.open(fleet, migrates=False)
    yield database
    await database.close()


async def time_there(url: str) -> Instant:
    async with a_session(url) as session:
        now: Instant = await session.fetchval(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        )
    return now


async def test_a_clock_is_set_by_the_database_and_knows_how_far_off_the_machine_is(
    database: Database, fleet: str, wall: Wall
) -> None:
    clock = database.clock()
    await clock.measure()
    before = await time_there(fleet)
    assert abs(clock.now() - before) < MINUTE
    assert abs(clock.offset - wall.off) < MINUTE


async def test_between_two_settings_nobody_s_hand_moves_it(database: Database, wall: Wall) -> None:
    clock = database.clock()
    await clock.measure()
    first = clock.now()
    wall.off = -10 * wall.off
    assert 0 <= clock.now() - first < MINUTE
    await clock.measure()
    assert abs(clock.now() - first) < MINUTE
    assert abs(clock.offset - wall.off) < MINUTE


async def test_an_answer_that_took_long_moves_nothing_that_may_be_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elapsed = [0]
    monkeypatch.setattr(clock, "_elapsed", lambda: elapsed[0])

    class Slow:
        """A way to the database on which the question takes `there`, and the answer `back`; in µs."""

        there, back, ahead = 1, 1, HOUR

        async def one(self, sql: str) -> tuple[Instant]:
            elapsed[0] += self.there
            at = elapsed[0] + self.ahead
            elapsed[0] += self.back
            return (at,)

    way = Slow()
    late = clock.DatabaseClock(cast(Pool, way))
    await late.measure()
    assert late.now() - elapsed[0] == HOUR
    way.there, way.back = MINUTE, 0
    await late.measure()
    assert late.now() - elapsed[0] == HOUR
    way.ahead = 2 * HOUR
    await late.measure()
    assert abs(late.now() - elapsed[0] - 2 * HOUR) <= MINUTE // 2, "that it is wrong is certain now"


async def test_delays_and_timeouts_are_over_when_the_database_says_so(fleet: str, wall: Wall) -> None:
    async with a_ground(fleet, quick) as ground:
        now = await time_there(fleet)
        later = (await add(ground.store, now, agent="quick", not_before=now + HOUR // 2)).run
    async with a_fleet_machine(fleet, quick, hangs) as machine:
        soon = await start(machine, "quick", not_before=await time_there(fleet))
        ended = await finish(machine, soon.id)
        assert abs((ended.finished_at or 0) - now) < MINUTE
        assert (await machine.store.runs.get(later.id)).status is RunStatus.QUEUED
        timed = await finish(machine, (await start(machine, "hangs", timeout=0.05)).id)
        assert timed.reason == Reason.TIMED_OUT
        going_on = await start(machine, "hangs", timeout=1_800.0)
        await until(machine, going_on.id, lambda run: run.status is RunStatus.RUNNING)
        expired = await finish(
            machine, (await start(machine, "quick", not_before=now + HOUR, expires_in=0.05)).id
        )
        assert expired.reason == Reason.EXPIRED
        assert (await machine.store.runs.get(going_on.id)).status is RunStatus.RUNNING

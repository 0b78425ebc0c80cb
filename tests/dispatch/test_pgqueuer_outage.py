"""The database was away: whoever could not be heard meanwhile is not taken for dead when it is back."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from runwell.dispatch.pgqueuer import queue
from runwell.dispatch.pgqueuer.driver import StoreDriver
from runwell.domain.errors import StoreUnavailable
from runwell.domain.worker import Heartbeat
from runwell.ports.clock import Clock
from runwell.ports.store import Store
from runwell.worker.upkeep.repair import Repairs
from tests.support.machines import LONG

LAPSE = timedelta(milliseconds=100)
ENTRYPOINT = QueueEntrypoint("agent:quick")


class Database:
    """Answers every question with nothing, or is away."""

    def __init__(self) -> None:
        self.away = 0
        self.asked: list[tuple[object, ...]] = []

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("it is away", "wait")
        self.asked.append(values)
        return []

    async def execute(self, sql: str, *values: object) -> str:
        raise AssertionError(sql)

    async def listen(self, channel: str, heard: object) -> None:
        raise AssertionError(channel)


async def test_for_a_lapse_after_the_database_came_back_no_job_is_taken_from_anybody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "AGAIN", 0.0)
    database = Database()
    queries = queue.PatientQueries(
        StoreDriver(database), lambda: (1, frozenset({ENTRYPOINT})), lambda: False, LAPSE
    )

    async def silence() -> object:
        """After how long without a heartbeat a job would have been taken."""
        wanted = {ENTRYPOINT: EntrypointExecutionParameter(0)}
        await queries.dequeue(1, wanted, QueueManagerId(uuid4()), None, timedelta(seconds=1))
        (value,) = (each for each in database.asked[-1] if isinstance(each, timedelta))
        return value

    assert await silence() == LAPSE
    database.away = 3
    assert await silence() == queue.NEVER
    async with asyncio.timeout(LONG):
        while await silence() != LAPSE:  # noqa: ASYNC110 - the clock is the loop's
            await asyncio.sleep(0)


class Nothing:
    """A queue in order, and a fleet of nobody. Counts how often it is asked for the abandoned."""

    def __init__(self) -> None:
        self.away = False
        self.looks = 0

    async def unoffered(self, now: int) -> list[str]:
        if self.away:
            raise StoreUnavailable("it is away", "wait")
        return []

    async def abandoned(self, lapse: float, alive: Sequence[str]) -> list[Any]:
        self.looks += 1
        return []

    async def remove_passed(self, lapse: float) -> int:
        return 0

    async def prune_log(self, keep: float) -> int:
        return 0

    async def all(self) -> list[Heartbeat]:
        return []

    @property
    def workers(self) -> "Nothing":
        return self

    def now(self) -> int:
        return 0


async def reoffer(runs: Sequence[str], now: int) -> int:
    raise AssertionError(runs)


async def test_repairs_take_nobody_for_dead_whom_they_had_no_time_to_hear() -> None:
    nothing = Nothing()
    store, clock = cast(Store, nothing), cast(Clock, nothing)
    repairs = Repairs(store, clock, nothing, reoffer, LAPSE.total_seconds())

    async def until_it_looks(least: float) -> None:
        began = asyncio.get_running_loop().time()
        looks = nothing.looks
        async with asyncio.timeout(LONG):
            while nothing.looks == looks:
                await repairs.mend()
                await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() - began >= least

    await until_it_looks(LAPSE.total_seconds())
    await until_it_looks(0.0)
    nothing.away = True
    with pytest.raises(StoreUnavailable):
        await repairs.mend()
    nothing.away = False
    await until_it_looks(LAPSE.total_seconds())

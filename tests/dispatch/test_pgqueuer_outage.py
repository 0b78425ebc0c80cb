"""The database was away: whoever could not be heard meanwhile is not taken for dead when it is back."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from pgqueuer.domain.types import JobId, QueueEntrypoint, QueueManagerId
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
        if self.away:
            raise StoreUnavailable("it is away", "wait")
        raise AssertionError(sql)

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        raise AssertionError(channel)


async def test_for_a_lapse_after_the_database_came_back_no_job_is_taken_from_anybody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue, "AGAIN", 0.0)
    database = Database()
    queries = queue.PatientQueries(
        StoreDriver(database), lambda: (1, frozenset({ENTRYPOINT})), lambda: False, LAPSE
    )

    assert await silence(queries, database) == LAPSE
    database.away = 3
    assert await silence(queries, database) == queue.NEVER
    async with asyncio.timeout(LONG):
        while await silence(queries, database) != LAPSE:  # noqa: ASYNC110 - the clock is the loop's
            await asyncio.sleep(0)


async def silence(queries: queue.PatientQueries, database: Database) -> object:
    """After how long without a heartbeat a job would have been taken."""
    await look(queries)
    (value,) = (each for each in database.asked[-1] if isinstance(each, timedelta))
    return value


async def look(queries: queue.PatientQueries) -> None:
    wanted = {ENTRYPOINT: EntrypointExecutionParameter(0)}
    await queries.dequeue(1, wanted, QueueManagerId(uuid4()), None, timedelta(seconds=1))


async def test_that_a_process_stopped_asking_does_not_say_that_the_database_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it does when it is fenced: the others were not heard either, for as long as it lasts."""
    monkeypatch.setattr(queue, "AGAIN", 0.0)
    database, rooms = Database(), [0, 0, 1]
    at_once = timedelta(0)
    queries = queue.PatientQueries(
        StoreDriver(database), lambda: (rooms.pop(), frozenset({ENTRYPOINT})), lambda: False, at_once
    )
    database.away = 1
    await look(queries)
    await look(queries)
    assert (rooms, database.asked) == ([], [])
    rooms.append(1)
    assert await silence(queries, database) == queue.NEVER


async def test_a_process_that_is_full_knows_by_its_own_hearts_that_nobody_was_heard() -> None:
    database = Database()
    queries = queue.PatientQueries(
        StoreDriver(database), lambda: (1, frozenset({ENTRYPOINT})), lambda: False, LAPSE
    )
    database.away = 1
    await queries.update_heartbeat([JobId(1)])
    database.away = 0
    assert await silence(queries, database) == queue.NEVER


async def test_a_process_is_told_once_to_look_however_often_others_change_the_table() -> None:
    way, heard = StoreDriver(Listening()), list[object]()
    await way.add_listener("c", heard.append)
    for _ in range(3):
        way.poke()
    assert len(heard) == 1
    way.looked()
    way.poke()
    assert len(heard) == 2, "what comes after a look has begun asks for another"
    Listening.heard('{"type": "health_check_event"}')
    assert len(heard) == 3, "and what says more is passed on"
    # Where there is no room nothing is asked, but it is a look: who makes room wakes the next one.
    await look(queue.PatientQueries(way, lambda: (0, frozenset()), lambda: False, LAPSE))
    way.poke()
    assert len(heard) == 4


class Listening(Database):
    """Passes on what it is told."""

    heard: Callable[[str], None]

    async def listen(self, channel: str, heard: Callable[[str], None]) -> None:
        Listening.heard = heard


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


async def test_all_queued_runs_that_have_no_job_get_one_in_a_turn_however_many_are_found_at_once() -> None:
    """As after `runwell copy`."""
    batches = [["c"], ["a", "b"]]
    offered: list[str] = []

    class Copied(Nothing):
        async def unoffered(self, now: int) -> list[str]:
            return batches.pop() if batches else []

    async def offers(runs: Sequence[str], now: int) -> int:
        offered.extend(runs)
        return len(runs)

    nothing = Copied()
    store, clock = cast(Store, nothing), cast(Clock, nothing)
    assert await Repairs(store, clock, nothing, offers, LONG).offer_again() == 3
    assert offered == ["a", "b", "c"]

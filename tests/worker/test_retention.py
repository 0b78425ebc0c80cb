"""The service that keeps what is to be kept, and no more."""

import logging

import pytest

from runwell.domain.errors import LogPruned, RunNotFound, StoreUnavailable
from runwell.domain.run import Run
from runwell.worker.upkeep.retention import Retired, retire
from tests.support.house import House, a_house

HOUR = 3_600.0
DAY = 24 * HOUR


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as house:
        yield house


async def turn(house: House, keep_runs: float, keep_events: float, batch: int = 10) -> Retired:
    return await retire(house.store, house.clock, keep_runs, keep_events, batch=batch, pause=0)


async def what_is_left(house: House, run: Run) -> str:
    try:
        await house.store.runs.get(run.id)
        return "log" if await house.store.events.read(run.id, 0, 1) else "nothing"
    except LogPruned:
        return "run"
    except RunNotFound:
        return "nothing"


async def test_first_the_log_goes_then_the_run(house: House, caplog) -> None:
    caplog.set_level(logging.INFO, "runwell")
    old = [await house.a_finished_run() for _ in range(12)]
    live = await house.a_running_run()
    house.clock.move(DAY)
    young = await house.a_finished_run()
    assert await turn(house, 2 * DAY, 23 * HOUR) == Retired(12, 0)
    assert {await what_is_left(house, run) for run in old} == {"run"}
    assert await turn(house, 2 * DAY, 23 * HOUR) == Retired(0, 0)
    house.clock.move(DAY + 1)
    assert await turn(house, 2 * DAY, 23 * HOUR) == Retired(1, 12)
    assert {await what_is_left(house, run) for run in old} == {"nothing"}
    assert [await what_is_left(house, run) for run in (young, live)] == ["run", "log"]
    assert caplog.messages == [
        "logs of ended runs pruned: 12 (36 events)",
        "logs of ended runs pruned: 1 (3 events)",
        "ended runs removed: 12",
    ]


@pytest.mark.parametrize(
    ("keep_runs", "keep_events", "left"),
    [(0, 0, "log"), (HOUR, 0, "nothing"), (0, HOUR, "run"), (DAY, HOUR, "run"), (DAY, 0, "log")],
)
async def test_nought_is_for_ever_and_a_log_goes_with_its_run(
    house: House, keep_runs: float, keep_events: float, left: str
) -> None:
    run = await house.a_finished_run()
    house.clock.move(2 * HOUR)
    await turn(house, keep_runs, keep_events)
    assert await what_is_left(house, run) == left


async def test_a_turn_that_is_broken_off_leaves_a_run_that_says_so_and_the_next_does_the_rest(
    house: House, monkeypatch
) -> None:
    run = await house.a_running_run()
    await house.say(run, *("word" for _ in range(30)))
    run = await house.succeed(run)
    house.clock.move(2 * HOUR)
    prune, calls = house.store.runs.prune_logs, []

    async def breaks_off(before, limit):
        calls.append(before)
        if len(calls) == 3:
            raise StoreUnavailable("gone")
        return await prune(before, limit)

    with monkeypatch.context() as broken:
        broken.setattr(house.store.runs, "prune_logs", breaks_off)
        with pytest.raises(StoreUnavailable):
            await turn(house, HOUR, 0)
    assert await what_is_left(house, run) == "run"
    assert await turn(house, HOUR, 0) == Retired(1, 1)
    assert await what_is_left(house, run) == "nothing"

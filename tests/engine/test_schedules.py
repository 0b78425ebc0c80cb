"""Schedules: what a change does while others change the same one, and how many there may be."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from runwell.domain.errors import Conflict, InvalidInput
from runwell.domain.json_gate import Json
from runwell.domain.schedule import Plan, Schedule
from runwell.engine import schedules
from tests.support.house import House, a_house

ANN = "ann"
PLAN = Plan(agent="echo", cron="0 * * * *", input=Json(b'"tick"'))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


@pytest.mark.parametrize(
    ("others", "wins"), [(1, True), (schedules.TRIES - 1, True), (schedules.TRIES, False)]
)
async def test_a_change_is_made_to_what_is_there_however_often_that_moves_on(
    house: House, monkeypatch, others: int, wins: bool
) -> None:
    schedule = await schedules.create(house.core, ANN, PLAN)
    save, left = house.store.schedules.save, list(range(others))

    async def comes_second(changed: Schedule) -> Schedule | None:
        if left:
            seen = await house.store.schedules.get(schedule.id, ANN)
            await save(replace(seen, last_at=left.pop()))
        return await save(changed)

    monkeypatch.setattr(house.store.schedules, "save", comes_second)
    if not wins:
        with pytest.raises(Conflict, match="being changed by others"):
            await schedules.update(house.core, ANN, schedule.id, {"name": "mine"})
        return
    changed = await schedules.update(house.core, ANN, schedule.id, {"name": "mine"})
    assert (changed.plan.name, changed.last_at, changed.version) == ("mine", 0, others + 2)


async def test_a_change_that_changes_nothing_writes_nothing(house: House) -> None:
    schedule = await schedules.create(house.core, ANN, PLAN)
    same = {"cron": PLAN.cron, "input": Json(b'"tick"'), "paused": False}
    assert await schedules.update(house.core, ANN, schedule.id, same) == schedule
    assert await house.store.schedules.get(schedule.id, ANN) == schedule


async def test_an_owner_has_only_so_many(house: House, monkeypatch) -> None:
    monkeypatch.setattr(schedules, "MOST_SCHEDULES", 2)
    for _ in range(2):
        await schedules.create(house.core, ANN, PLAN)
    with pytest.raises(InvalidInput, match="at most 2 schedules"):
        await schedules.create(house.core, ANN, PLAN)
    assert (await schedules.create(house.core, "bob", PLAN)).owner == "bob"


async def test_what_is_upcoming_begins_with_what_is_due(house: House) -> None:
    schedule = await schedules.create(house.core, ANN, PLAN)
    assert schedule.next_at is not None
    first = schedule.next_at
    assert schedules.upcoming(schedule, 3) == [first, first + 3_600_000_000, first + 7_200_000_000]
    assert schedules.upcoming(replace(schedule, next_at=None), 3) == []

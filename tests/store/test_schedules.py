"""Schedules in the store: listed and changed by their owner, found when they are due."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from runwell.agents.catalogue import Catalog
from runwell.domain.errors import ScheduleNotFound
from runwell.domain.json_gate import Json
from runwell.domain.schedule import Missed, Plan, Schedule
from runwell.domain.thread import IfBusy
from runwell.engine import schedules
from runwell.engine.core import Core
from runwell.engine.submit import Submission
from runwell.ports.store import Added, RunFilter, Store
from runwell.store.signals import LocalSignals
from runwell.worker.upkeep import firing
from tests.support.house import HandClock, echo
from tests.support.runs import NOW, OWNER, an_id

HOURLY = Plan(agent="echo", cron="0 * * * *")
FULL = Plan(
    agent="echo", cron="0 9 * * MON", input=Json(b'{"a":[1.50,null]}'), name="wörk", timezone="Asia/Tokyo",
    missed=Missed.ALL, thread_id="0" * 32, if_busy=IfBusy.REFUSE, concurrency_key="k",
    metadata=Json(b'{"team":"ops"}'), priority=-7, timeout=1.5, max_attempts=2, expires_in=60.0,
)  # fmt: skip


def a_schedule(at: int = NOW, plan: Plan = HOURLY, **fields: Any) -> Schedule:
    given = {"id": an_id(at), "owner": OWNER, "created_at": at, **fields}
    return Schedule(plan=plan, **given)


async def added(store: Store, *schedules: Schedule) -> None:
    for schedule in schedules:
        await store.schedules.add(schedule)


async def test_a_schedule_is_read_as_it_was_written(store: Store) -> None:
    bare = a_schedule()
    full = a_schedule(plan=FULL, next_at=NOW, last_at=NOW - 1, last_run_id="1" * 32, last_error="no agent")
    await added(store, bare, full)
    assert await store.schedules.get(bare.id, OWNER) == bare
    assert await store.schedules.get(full.id, OWNER) == full


async def test_schedules_are_paged_newest_first_per_owner(store: Store) -> None:
    schedules = [a_schedule(NOW + n * 1_000_000) for n in range(3)]
    await added(store, *schedules, a_schedule(owner="eve"))
    first, second, third = reversed(schedules)
    assert await store.schedules.page(OWNER, before=None, limit=2) == [first, second]
    assert await store.schedules.page(OWNER, before=second.id, limit=2) == [third]
    assert (await store.schedules.count(OWNER), await store.schedules.count("nobody")) == (3, 0)


async def test_what_is_due_is_found_those_due_longest_first(store: Store) -> None:
    late, later = a_schedule(next_at=NOW), a_schedule(next_at=NOW - 5, owner="eve")
    await added(store, late, later, a_schedule(next_at=NOW + 1), a_schedule(next_at=None))
    assert await store.schedules.due(NOW, 10) == [later, late]
    assert await store.schedules.due(NOW, 1) == [later]
    assert await store.schedules.due(NOW - 6, 10) == []


async def test_of_two_who_save_what_they_have_read_one_is_told_so(store: Store) -> None:
    seen = a_schedule(next_at=NOW)
    await added(store, seen)
    mine = replace(seen, next_at=NOW + 10)
    theirs = replace(seen, plan=replace(HOURLY, name="theirs"))
    saved = await asyncio.gather(store.schedules.save(mine), store.schedules.save(theirs))
    (winner,) = [each for each in saved if each is not None]
    assert winner.version == 2
    assert await store.schedules.get(seen.id, OWNER) == winner
    again = await store.schedules.save(replace(winner, next_at=None))
    assert again is not None
    assert (again.version, again.next_at) == (3, None)
    assert await store.schedules.due(NOW + 99, 10) == []


async def test_a_schedule_is_changed_and_removed_by_its_owner_alone(store: Store) -> None:
    schedule = a_schedule(next_at=NOW)
    await added(store, schedule)
    assert await store.schedules.save(replace(schedule, owner="eve", next_at=None)) is None
    with pytest.raises(ScheduleNotFound):
        await store.schedules.get(schedule.id, "eve")
    with pytest.raises(ScheduleNotFound):
        await store.schedules.delete(schedule.id, "eve")
    assert await store.schedules.get(schedule.id, OWNER) == schedule
    await store.schedules.delete(schedule.id, OWNER)
    assert await store.schedules.save(schedule) is None
    assert await store.schedules.due(NOW, 10) == []
    with pytest.raises(ScheduleNotFound):
        await store.schedules.delete(schedule.id, OWNER)


async def test_two_who_fire_at_once_start_one_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    core = Core(store, LocalSignals(), clock, Catalog([echo]))
    schedule = await schedules.create(core, OWNER, replace(HOURLY, input=Json(b'"tick"')))
    clock.move(3_600)
    both, submit = asyncio.Barrier(2), firing.submit  # type: ignore[attr-defined]

    async def meets(core: Core, wanted: Submission) -> Added:
        await both.wait()  # both have read that it is due
        return await submit(core, wanted)

    monkeypatch.setattr(firing, "submit", meets)
    moved = await asyncio.gather(firing.fire_due(core), firing.fire_due(core))
    assert sorted(moved) == [0, 1]
    runs = await store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=9)
    seen = await store.schedules.get(schedule.id, OWNER)
    assert [run.id for run in runs] == [seen.last_run_id]
    assert seen.next_at == clock.now() + 3_600_000_000

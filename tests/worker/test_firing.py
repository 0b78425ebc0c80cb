"""Runs of schedules: at their time, each once, whatever was missed and whoever dies."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runwell.domain.damaged import Damaged
from runwell.domain.errors import QueueFull, StoreUnavailable
from runwell.domain.instant import Instant, to_iso
from runwell.domain.json_gate import Json, decode
from runwell.domain.principal import LOCAL_OWNER
from runwell.domain.run import Run, RunStatus
from runwell.domain.schedule import Missed, Plan, Schedule
from runwell.domain.thread import IfBusy
from runwell.engine import control, schedules
from runwell.ports.store import RunFilter
from runwell.worker.upkeep import firing
from runwell.worker.upkeep.firing import MOST_MADE_UP, fire_due
from tests.support.house import BEGINNING, House, a_house

MINUTE = 60.0
HOUR = 60 * MINUTE
HOURLY = Plan(agent="echo", cron="0 * * * *", input=Json(b'"tick"'))
"""The clock begins at 8:00:00, so 9:00 is the first."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


def hours(*numbers: int) -> list[Instant]:
    return [BEGINNING + number * 3_600_000_000 for number in numbers]


async def made(house: House, **fields: Any) -> Schedule:
    return await schedules.create(house.core, LOCAL_OWNER, replace(HOURLY, **fields))


async def now_of(house: House, schedule: Schedule) -> Schedule:
    return await house.store.schedules.get(schedule.id, schedule.owner)


async def started(house: House, owner: str = LOCAL_OWNER) -> list[Run]:
    """All runs, by the time they were due."""
    runs = await house.store.runs.page(owner, RunFilter(), before=None, after=None, limit=200)
    return sorted(runs, key=due_of)


async def die_after_the_submit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fire what is due, and be gone before that is written down."""

    async def dies(saved: Schedule) -> Schedule:
        raise StoreUnavailable("dead")

    with monkeypatch.context() as doomed:
        doomed.setattr(house.store.schedules, "save", dies)
        with pytest.raises(StoreUnavailable):
            await fire_due(house.core)


def poison_breaks_a_submit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As nobody foresaw."""
    submit = firing.submit  # type: ignore[attr-defined]

    async def breaks(core: Any, wanted: Any) -> Any:
        if wanted.input == "poison":
            raise ZeroDivisionError
        return await submit(core, wanted)

    monkeypatch.setattr(firing, "submit", breaks)


def due_of(run: Run) -> str:
    due: str = decode(run.metadata)["due_at"]
    return due


async def test_a_run_is_started_at_each_time_and_says_where_it_comes_from(house: House) -> None:
    schedule = await made(house, metadata=Json(b'{"team":"ops","due_at":"mine"}'), priority=3, timeout=9.5)
    assert await fire_due(house.core) == 0
    house.clock.move(HOUR)
    assert [await fire_due(house.core), await fire_due(house.core)] == [1, 0]
    house.clock.move(HOUR + 0.4)
    assert await fire_due(house.core) == 1
    first, second = await started(house)
    due = hours(1, 2)
    assert [due_of(first), due_of(second)] == [to_iso(each) for each in due]
    assert decode(first.metadata) == {
        "team": "ops", "schedule": f"schedule_{schedule.id}", "due_at": to_iso(due[0])
    }  # fmt: skip
    assert (first.source, first.agent, first.priority, first.timeout) == ("schedule", "echo", 3, 9.5)
    seen = await now_of(house, schedule)
    assert (seen.last_at, seen.last_run_id, seen.last_error) == (due[1], second.id, None)
    assert [seen.next_at] == hours(3)


@pytest.mark.parametrize(
    ("policy", "away", "fired"),
    [
        (Missed.SKIP, 3 * HOUR + 2 * MINUTE, []),
        (Missed.SKIP, 3 * HOUR + 59, [3]),
        (Missed.ONCE, 3 * HOUR + 2 * MINUTE, [3]),
        (Missed.ALL, 3 * HOUR + 2 * MINUTE, [1, 2, 3]),
    ],
)
async def test_what_was_missed_goes_by_the_policy(house: House, policy, away, fired) -> None:
    schedule = await made(house, missed=policy)
    house.clock.move(away)
    assert [await fire_due(house.core), await fire_due(house.core)] == [1, 0]
    assert [due_of(run) for run in await started(house)] == [to_iso(each) for each in hours(*fired)]
    seen = await now_of(house, schedule)
    assert [seen.next_at] == hours(4)
    assert seen.last_at == (hours(*fired)[-1] if fired else None)


async def test_of_very_many_that_were_missed_the_newest_are_made_up_for(house: House) -> None:
    await made(house, missed=Missed.ALL)
    house.clock.move(150 * HOUR)
    await fire_due(house.core)
    assert [due_of(run) for run in await started(house)] == [to_iso(each) for each in hours(*range(51, 151))]
    assert MOST_MADE_UP == 100


@pytest.mark.parametrize("policy", Missed)
async def test_a_paused_schedule_starts_nothing_and_makes_up_for_nothing(house: House, policy) -> None:
    born_paused = await made(house, missed=policy, paused=True)
    paused = await made(house, missed=policy)
    await schedules.update(house.core, LOCAL_OWNER, paused.id, {"paused": True})
    house.clock.move(3 * HOUR + MINUTE * 30)
    assert await fire_due(house.core) == 0
    for each in (paused, born_paused):
        resumed = await schedules.update(house.core, LOCAL_OWNER, each.id, {"paused": False})
        assert [resumed.next_at] == hours(4)
    assert await fire_due(house.core) == 0
    assert await started(house) == []
    house.clock.move(MINUTE * 30)
    assert await fire_due(house.core) == 2
    assert len(await started(house)) == 2


@pytest.mark.parametrize("policy", [Missed.SKIP, Missed.ALL])
async def test_who_dies_after_the_submit_leaves_one_run_for_whoever_fires_next(
    house: House, monkeypatch: pytest.MonkeyPatch, policy: Missed
) -> None:
    schedule = await made(house, missed=policy)
    house.clock.move(HOUR)

    await die_after_the_submit(house, monkeypatch)
    (run,) = await started(house)
    assert await now_of(house, schedule) == schedule
    # Meanwhile its owner wants something else to be run: from the next time on.
    await schedules.update(house.core, LOCAL_OWNER, schedule.id, {"input": Json(b'"tock"')})
    house.clock.move(30)
    assert await fire_due(house.core) == 1
    assert await started(house) == [run]
    assert (await now_of(house, schedule)).last_run_id == run.id


@pytest.mark.parametrize("policy", [Missed.ONCE, Missed.ALL])
async def test_that_run_is_known_also_when_its_key_has_been_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch, policy: Missed
) -> None:
    schedule = await made(house, missed=policy)
    house.clock.move(HOUR)
    await die_after_the_submit(house, monkeypatch)
    (run,) = await started(house)
    await house.fail(await house.claim(run))
    retry = (await control.retry(house.core, LOCAL_OWNER, run.id)).run
    house.clock.move(2 * MINUTE)
    assert await house.store.runs.forget_idempotency(house.clock.now(), 10) == 1
    assert await fire_due(house.core) == 1
    assert {each.id for each in await started(house)} == {run.id, retry.id}
    assert (await now_of(house, schedule)).last_run_id == run.id


async def test_a_schedule_that_cannot_start_its_run_says_why_and_goes_on(house: House) -> None:
    await house.client.put("/agents/mine", {"model": "m"})
    schedule, other = await made(house, agent="mine"), await made(house)
    await house.client.delete("/agents/mine")
    house.clock.move(HOUR)
    assert await fire_due(house.core) == 2
    seen = await now_of(house, schedule)
    assert (seen.last_error, seen.last_run_id) == ("There is no agent 'mine'", None)
    assert ([seen.last_at], [seen.next_at]) == (hours(1), hours(2))
    assert (await now_of(house, other)).last_error is None
    await house.client.put("/agents/mine", {"model": "m"})
    house.clock.move(HOUR)
    await fire_due(house.core)
    seen = await now_of(house, schedule)
    assert (seen.last_error, seen.last_run_id is None) == (None, False)


async def test_a_run_that_must_not_overlap_the_last_one_is_told_as_the_reason(house: House) -> None:
    schedule = await made(house, thread_id="0" * 12 + "4" + "0" * 3 + "8" + "0" * 15, if_busy=IfBusy.REFUSE)
    house.clock.move(HOUR)
    await fire_due(house.core)
    (run,) = await started(house)
    house.clock.move(HOUR)
    await fire_due(house.core)
    assert f"is busy with run_{run.id}" in str((await now_of(house, schedule)).last_error)
    await house.succeed(await house.claim(run))
    house.clock.move(HOUR)
    await fire_due(house.core)
    assert [each.status for each in await started(house)] == [RunStatus.SUCCEEDED, RunStatus.QUEUED]


@pytest.mark.parametrize("error", [QueueFull("full"), StoreUnavailable("gone")])
async def test_what_cannot_be_submitted_now_stays_due(house: House, monkeypatch, error) -> None:
    schedule = await made(house)
    house.clock.move(HOUR)

    async def refuses(core: Any, wanted: Any) -> None:
        raise error

    with monkeypatch.context() as crowded:
        crowded.setattr(firing, "submit", refuses)
        with pytest.raises(type(error)):
            await fire_due(house.core)
    assert await now_of(house, schedule) == schedule
    assert await fire_due(house.core) == 1
    assert len(await started(house)) == 1


async def test_one_that_fails_as_nobody_foresaw_does_not_hold_up_the_others(
    house: House, monkeypatch, caplog
) -> None:
    caplog.set_level(logging.ERROR, "runwell")
    poison, _ = await made(house, input=Json(b'"poison"')), await made(house)
    house.clock.move(HOUR)
    poison_breaks_a_submit(monkeypatch)
    assert await fire_due(house.core) == 1
    assert len(await started(house)) == 1
    assert caplog.messages == [f"schedule_{poison.id} cannot be fired"]


async def test_a_zone_that_is_gone_stops_the_schedule_and_says_so(house: House) -> None:
    schedule = await made(house)
    moved = replace(schedule, plan=replace(schedule.plan, timezone="Mars/Olympus"))
    await house.store.schedules.save(moved)
    house.clock.move(HOUR)
    assert [await fire_due(house.core), await fire_due(house.core)] == [1, 0]
    seen = await now_of(house, schedule)
    assert (seen.next_at, await started(house)) == (None, [])
    assert "'Mars/Olympus' is no time zone" in str(seen.last_error)
    mended = await schedules.update(house.core, LOCAL_OWNER, schedule.id, {"timezone": "UTC"})
    assert [mended.next_at] == hours(2)


async def test_a_schedules_runs_are_its_owners(house: House) -> None:
    await schedules.create(house.core, "ann", HOURLY)
    house.clock.move(HOUR)
    await fire_due(house.core)
    assert [run.owner for run in await started(house, "ann")] == ["ann"]
    assert await started(house) == []


async def test_there_may_be_more_of_them_than_are_fired_together(house: House, monkeypatch) -> None:
    monkeypatch.setattr(firing, "BATCH", 2)
    for _ in range(5):
        await made(house)
    house.clock.move(HOUR)
    assert await fire_due(house.core) == 5
    assert len(await started(house)) == 5


async def test_those_that_fail_stand_before_nobody_however_many_they_are(house: House, monkeypatch) -> None:
    monkeypatch.setattr(firing, "BATCH", 2)
    for _ in range(5):
        await made(house, input=Json(b'"poison"'))
    await made(house, cron="1 9 * * *")
    house.clock.move(HOUR + MINUTE)
    poison_breaks_a_submit(monkeypatch)
    assert await fire_due(house.core) == 1
    assert len(await started(house)) == 1


async def test_one_that_cannot_be_read_is_said_once_and_holds_up_nobody(
    house: House, monkeypatch, caplog
) -> None:
    caplog.set_level(logging.ERROR, "runwell")
    bad, _ = await made(house), await made(house)
    due = house.store.schedules.due

    async def half_read(*args: Any) -> list[Schedule | Damaged]:
        damaged = Damaged(what="schedule", id=bad.id, owner=bad.owner, why="it ends too soon")
        return [damaged if each.id == bad.id else each for each in await due(*args)]

    monkeypatch.setattr(house.store.schedules, "due", half_read)
    house.clock.move(HOUR)
    said: set[str] = set()
    assert await fire_due(house.core, said) == 1
    assert await fire_due(house.core, said) == 0
    assert len(await started(house)) == 1
    (message,) = caplog.messages
    assert message == (
        f"schedule_{bad.id} of {LOCAL_OWNER} cannot be read, and starts no runs: it ends too soon"
    )

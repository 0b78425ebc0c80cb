"""What one process of a fleet does at a time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.ports.store import Store
from runwell.worker.duty import Duty
from tests.support.asgi import soon
from tests.support.house import HandClock
from tests.support.runs import a_store

LAPSE = 9.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with a_store(tmp_path / "runs.db", durability="off") as store:
        yield store


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def away(*given: Any) -> bool:
    raise StoreUnavailable("the database is away")


async def test_one_has_it_and_is_told_so_once(store: Store, clock: HandClock) -> None:
    told: list[str] = []
    one = Duty("d", "one", store, clock, LAPSE, lambda: told.append("one"))
    two = Duty("d", "two", store, clock, LAPSE, lambda: told.append("two"))
    other = Duty("another", "two", store, clock, LAPSE)
    for _ in range(2):
        for duty in (one, two, other):
            await duty.renew()
    assert (one.mine, two.mine, other.mine) == (True, False, True)
    assert told == ["one"]
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    await two.when_mine(work)()
    assert done == []
    await one.when_mine(work)()
    assert done == ["work"]


async def test_who_stops_gives_it_to_the_next_at_once(store: Store, clock: HandClock) -> None:
    one, two = (Duty("d", name, store, clock, LAPSE) for name in ("one", "two"))
    await one.renew()
    await two.stop()
    assert one.mine, "it was not the other's to give"
    await one.stop()
    assert not one.mine
    await two.renew()
    assert two.mine


async def test_who_cannot_renew_it_has_lost_it_by_itself_and_another_takes_it(
    store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    one = Duty("d", "one", store, clock, 0.2, lambda: told.append("mine"))
    two = Duty("d", "two", store, clock, LAPSE)
    await one.renew()
    with monkeypatch.context() as broken:
        broken.setattr(store.leases, "take", away)
        with pytest.raises(StoreUnavailable):
            await one.renew()
        assert one.mine, "until it has run out"
        await soon(lambda: not one.mine)
    clock.move(0.2)
    await two.renew()
    await one.renew()
    assert (one.mine, two.mine) == (False, True)
    await two.stop()
    await one.renew()
    assert told == ["mine", "mine"]


async def test_it_is_renewed_until_it_is_given_back(
    store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty, asked, take = Duty("d", "one", store, clock, 0.3), [0], store.leases.take

    async def counted(*given: Any) -> bool:
        asked[0] += 1
        return await take(*given)

    monkeypatch.setattr(store.leases, "take", counted)
    duty.start()
    await soon(lambda: asked[0] == 3)
    await duty.stop()
    assert not duty.mine
    assert await take("d", "two", clock.now(), clock.now() + 1)


async def test_a_stop_while_the_database_is_away_leaves_it_to_run_out(
    store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    duty = Duty("d", "one", store, clock, LAPSE)
    await duty.renew()
    monkeypatch.setattr(store.leases, "release", away)
    await asyncio.wait_for(duty.stop(), LAPSE)
    assert not duty.mine
    assert "runs out by itself" in caplog.text

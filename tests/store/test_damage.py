"""Rows that cannot be read: they are named, and in nobody's way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from runwell.domain.callback import DeliveryStatus, StandingCallback
from runwell.domain.damaged import Damaged
from runwell.domain.instant import SECOND
from runwell.engine.audit import damage
from runwell.ports.store import Store
from tests.store.test_outbox import a_callback, a_delivery, a_post
from tests.store.test_schedules import a_schedule, added
from tests.store.test_triggers import a_trigger
from tests.support.runs import NOW, OWNER, a_store, a_succeeded_run

BAD = b'{"no'
Spoil = Callable[[str, str, str], Awaitable[None]]
"""Spoils a table's column in the row with this id."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def spoiled(request: pytest.FixtureRequest, fast_folder: Path) -> AsyncIterator[tuple[Store, Spoil]]:
    if request.param == "postgres":
        import asyncpg

        from tests.support.postgres import a_postgres_store, empty

        url = request.getfixturevalue("kept_postgres")
        await empty(url)

        async def spoil_row(table: str, column: str, id: str) -> None:
            connection = await asyncpg.connect(url)
            try:
                sql = f"UPDATE {table} SET {column} = $1 WHERE id = $2"
                assert await connection.execute(sql, BAD, bytes.fromhex(id)) == "UPDATE 1"
            finally:
                await connection.close()

        async with a_postgres_store(url) as store:
            yield store, spoil_row
        return

    path = fast_folder / "runs.db"

    async def spoil(table: str, column: str, id: str) -> None:
        with contextlib.closing(apsw.Connection(str(path))) as other:
            other.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (BAD, bytes.fromhex(id)))
            assert other.changes() == 1

    async with a_store(path, durability="off") as store:
        yield store, spoil


def named(found: list[Damaged]) -> list[tuple[str, str, str]]:
    assert all(each.why for each in found)
    return [(each.what, each.id, each.owner) for each in found]


async def test_a_damaged_callback_keeps_no_run_from_ending_and_nobody_else_untold(
    spoiled: tuple[Store, Spoil],
) -> None:
    store, spoil = spoiled
    bad, good = await a_callback(store), await a_callback(store, NOW + SECOND)
    await spoil("callbacks", "value", bad.id)
    run = await a_succeeded_run(store)
    assert [each.callback_id for each in await store.deliveries.of(run.id)] == [good.id]
    assert await store.callbacks.all(OWNER) == [good]
    assert named(await store.callbacks.damaged()) == [("callback", bad.id, OWNER)]
    await store.callbacks.delete(bad.id, OWNER)
    assert await store.callbacks.damaged() == []


async def test_a_delivery_whose_last_post_is_damaged_is_posted_all_the_same(
    spoiled: tuple[Store, Spoil],
) -> None:
    store, spoil = spoiled
    delivery = await a_delivery(store)
    await store.deliveries.record(delivery.id, a_post(), DeliveryStatus.PENDING, NOW + 9)
    (posted,) = await store.deliveries.due(NOW + 9, 10)
    assert posted.last is not None
    await spoil("deliveries", "last", delivery.id)
    assert named(await store.deliveries.damaged()) == [("delivery", delivery.id, OWNER)]
    assert await store.deliveries.due(NOW + 9, 10) == [replace(posted, last=None)]
    ended = await store.deliveries.record(
        delivery.id, a_post(NOW + 9, status_code=200), DeliveryStatus.DELIVERED, None
    )
    assert (ended.posts, ended.last is not None) == (2, True)
    assert await store.deliveries.damaged() == []


async def test_a_damaged_schedule_is_named_and_stands_before_nobody(spoiled: tuple[Store, Spoil]) -> None:
    store, spoil = spoiled
    bad, good = a_schedule(next_at=NOW - 5), a_schedule(NOW + SECOND, next_at=NOW - 4)
    await added(store, bad, good)
    await spoil("schedules", "value", bad.id)
    assert await store.schedules.due(NOW, 2) == [*await store.schedules.damaged(), good]
    assert await store.schedules.due(NOW, 1, exclude=frozenset({bad.id})) == [good]
    assert await store.schedules.page(OWNER, before=None, limit=5) == [
        good, *await store.schedules.damaged(),
    ]  # fmt: skip
    assert named(await store.schedules.damaged()) == [("schedule", bad.id, OWNER)]
    await store.schedules.delete(bad.id, OWNER)
    assert await store.schedules.damaged() == []


async def test_a_damaged_trigger_is_not_listed_and_may_be_removed(spoiled: tuple[Store, Spoil]) -> None:
    store, spoil = spoiled
    bad, good = a_trigger(), a_trigger(NOW + SECOND)
    for each in (bad, good):
        await store.triggers.add(each)
    await spoil("triggers", "value", bad.id)
    assert await store.triggers.all(OWNER) == [good]
    assert named(await store.triggers.damaged()) == [("trigger", bad.id, OWNER)]
    assert [finding.sentence.partition(": ")[0] for finding in await damage(store)] == [
        f"trigger_{bad.id} of {OWNER} cannot be read"
    ]
    await store.triggers.delete(bad.id, OWNER)
    assert await damage(store) == []


@pytest.mark.parametrize("kind", ["callback", "trigger"])
async def test_of_changes_that_come_together_none_is_lost(store: Store, kind: str) -> None:
    callback, trigger = await a_callback(store), a_trigger(name="")
    await store.triggers.add(trigger)

    async def change(number: int) -> None:
        def grown(seen: StandingCallback) -> StandingCallback:
            return replace(seen, agents=(*seen.agents, str(number)))

        if kind == "callback":
            await store.callbacks.update(callback.id, OWNER, grown)
        else:
            await store.triggers.update(
                trigger.id, OWNER, lambda seen: replace(seen, name=f"{seen.name} {number}")
            )

    await asyncio.gather(*(change(number) for number in range(12)))
    words = (await store.triggers.get(trigger.id, OWNER)).name.split()
    told = (await store.callbacks.get(callback.id, OWNER)).agents if kind == "callback" else words
    assert sorted(map(int, told)) == list(range(12))

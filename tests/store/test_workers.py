"""Processes that know of each other, and duties that one of them has."""

import asyncio

from msgspec.structs import replace

from runwell.domain.worker import Heartbeat
from runwell.ports.store import Store
from tests.support.runs import NOW

S = 1_000_000


def a_beat(name: str = "h:1:a", at: int = NOW, **fields) -> Heartbeat:
    return Heartbeat(
        name=name, host="h", pid=1, version="0.1", started_at=NOW, seen_at=at, lapse=9.0, **fields
    )


async def test_a_worker_s_row_is_its_last_heartbeat(store: Store) -> None:
    first = a_beat(agents=("writer", "critic"), places=10)
    await store.workers.beat(first)
    await store.workers.beat(replace(first, seen_at=NOW + S, running=3))
    await store.workers.beat(a_beat("h:2:b", serves=True))
    assert await store.workers.all() == [
        replace(first, seen_at=NOW + S, running=3), a_beat("h:2:b", serves=True)
    ]  # fmt: skip


async def test_a_worker_is_alive_until_its_lapse_is_over() -> None:
    beat = a_beat()
    assert beat.alive(NOW + 9 * S - 1)
    assert not beat.alive(NOW + 9 * S)


async def test_who_ended_is_removed_and_who_vanished_is_forgotten(store: Store) -> None:
    for number, name in enumerate("abc"):
        await store.workers.beat(a_beat(name, NOW + number * S))
    await store.workers.remove("b")
    await store.workers.remove("b")
    assert await store.workers.forget(NOW + S) == 1
    assert [each.name for each in await store.workers.all()] == ["c"]


async def test_a_duty_is_one_holder_s_until_it_runs_out(store: Store) -> None:
    leases = store.leases
    assert await leases.take("sender", "a", NOW, NOW + 9 * S)
    assert not await leases.take("sender", "b", NOW + S, NOW + 10 * S)
    assert await leases.take("sender", "a", NOW + S, NOW + 10 * S), "it is a's to keep"
    assert await leases.take("upkeep", "b", NOW, NOW + 9 * S), "another duty"
    assert not await leases.take("sender", "b", NOW + 10 * S - 1, NOW + 19 * S)
    assert await leases.take("sender", "b", NOW + 10 * S, NOW + 19 * S)
    assert not await leases.take("sender", "a", NOW + 11 * S, NOW + 20 * S)


async def test_a_duty_that_is_given_back_is_free(store: Store) -> None:
    await store.leases.take("sender", "a", NOW, NOW + 9 * S)
    await store.leases.release("sender", "b")
    assert not await store.leases.take("sender", "b", NOW, NOW + 9 * S)
    await store.leases.release("sender", "a")
    assert await store.leases.take("sender", "b", NOW, NOW + 9 * S)


async def test_of_many_who_take_a_free_duty_one_has_it(store: Store) -> None:
    taken = await asyncio.gather(*(store.leases.take("sender", f"w{n}", NOW, NOW + S) for n in range(8)))
    assert sum(taken) == 1

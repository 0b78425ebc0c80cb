"""A process says that it is alive, and stops its attempts when nobody can have heard it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.domain.worker import Heartbeat
from runwell.worker.heartbeat import Beating
from tests.support.asgi import soon

LAPSE = 0.15


async def answers() -> None:
    """As a store does that is there."""


async def is_away() -> None:
    raise StoreUnavailable("the database is away")


async def hangs() -> None:
    await asyncio.Event().wait()


async def is_broken() -> None:
    raise ValueError("a defect")


class Workers:
    """A store that takes heartbeats as `way` lets it. `said` is what was heard, in order."""

    def __init__(self) -> None:
        self.workers = self
        self.way: Callable[[], Awaitable[None]] = answers
        self.said: list[str] = []
        self.asked = 0
        self.heard_at = 0.0
        self.fenced_at: list[float] = []

    async def beat(self, heartbeat: Heartbeat) -> None:
        at = asyncio.get_running_loop().time()
        self.asked += 1
        await self.way()
        self.heard_at = at
        self.said.append(f"beat {heartbeat.running}")

    async def remove(self, name: str) -> None:
        await self.way()
        self.said.append(f"goodbye {name}")

    def fence(self) -> None:
        self.fenced_at.append(asyncio.get_running_loop().time())
        self.said.append("fence")

    def unfence(self) -> None:
        self.said.append("unfence")


@asynccontextmanager
async def beating(store: Workers, lapse: float = LAPSE, **options: Any) -> AsyncIterator[Beating]:
    def describe() -> Heartbeat:
        return Heartbeat(
            name="w", host="h", pid=1, version="1", started_at=0, seen_at=0, lapse=LAPSE, running=store.asked
        )

    given: Any = store
    beats = Beating(given, describe, lapse, fence=store.fence, unfence=store.unfence, **options)
    await beats.start()
    try:
        yield beats
    finally:
        await beats.stop()


async def test_it_says_what_it_is_at_once_again_and_again_and_says_goodbye() -> None:
    store = Workers()
    async with beating(store, lapse=0.6) as beats:
        assert store.said == ["beat 0"]
        await soon(lambda: len(store.said) >= 3)
    await beats.stop()
    assert store.said == ["beat 0", "beat 1", "beat 2", "goodbye w"]


async def test_the_clock_is_set_ahead_of_each_beat() -> None:
    store = Workers()

    async def measure() -> None:
        store.said.append("clock")

    async with beating(store, before=measure):
        await soon(lambda: len(store.said) >= 4)
    assert store.said[:4] == ["clock", "beat 0", "clock", "beat 1"]


@pytest.mark.parametrize("way", [is_away, hangs, is_broken])
async def test_unheard_for_two_thirds_of_its_lapse_it_is_fenced_once_until_it_is_heard_again(
    way: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    store = Workers()
    async with beating(store):
        store.way = way
        unheard = store.asked
        await soon(lambda: store.fenced_at)
        assert store.fenced_at[0] - store.heard_at >= LAPSE * 2 / 3
        await soon(lambda: store.asked >= unheard + 4)
        assert len(store.fenced_at) == 1
        assert "it stops its attempts" in caplog.text
        store.way = answers
        await soon(lambda: "unfence" in store.said)
        assert store.said.index("unfence") == store.said.index("fence") + 2, "only what was heard counts"
        store.way = way
        await soon(lambda: len(store.fenced_at) == 2)
        store.way = answers


async def test_a_start_that_nobody_hears_is_refused() -> None:
    store = Workers()
    store.way = is_away
    with pytest.raises(StoreUnavailable):
        async with beating(store):
            raise AssertionError("it has started")


@pytest.mark.parametrize("way", [is_away, hangs])
async def test_a_goodbye_that_nobody_hears_holds_nothing_up(
    way: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    store = Workers()
    async with beating(store):
        store.way = way
    assert "goodbye of this process was not heard" in caplog.text

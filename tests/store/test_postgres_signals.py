"""Signals between processes: ids only, few notifications, one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from runwell.domain.commands import AskCancel, Claim
from runwell.ports.signals import SignalKind
from runwell.store.postgres import Database
from runwell.store.postgres.signals import CHANNEL, LONGEST, PostgresSignals, payloads, signals_of
from tests.support.postgres import OURS, Way, a_session, a_way, kill
from tests.support.runs import WORKER, a_queued_run, an_id, do, say

pytestmark = pytest.mark.postgres

CHANGED, QUEUED, CANCEL = SignalKind.CHANGED, SignalKind.QUEUED, SignalKind.CANCEL_REQUESTED
LONG = 20.0


@pytest.fixture
async def way(postgres: str) -> AsyncIterator[Way]:
    async with a_way(postgres) as way:
        yield way


@pytest.fixture
async def both(postgres: str, way: Way) -> AsyncIterator[list[tuple[Database, PostgresSignals]]]:
    """Two processes' worth; the second one's way can be cut."""
    async with AsyncExitStack() as stack:
        made = []
        for url in (postgres, way.url):
            database = await Database.open(url)
            stack.push_async_callback(database.close)
            signals = database.signals()
            await signals.start()
            stack.push_async_callback(signals.close)
            async with asyncio.timeout(LONG):
                await signals.connected.wait()
            made.append((database, signals))
        yield made


async def test_what_one_process_writes_wakes_whoever_watches_in_another(both: Any) -> None:
    (database, signals), (other, elsewhere) = both
    heard: list[tuple[SignalKind, str]] = []
    elsewhere.listen(lambda kind, run_id: heard.append((kind, run_id)))
    store = database.store(signals.publish)
    run = await a_queued_run(store)
    with elsewhere.watch(run.id) as watch, elsewhere.watch(an_id()) as unconcerned:
        run = await do(store, run, Claim(worker=WORKER))
        assert await watch.wait(LONG)
        assert (await other.store().runs.get(run.id)).version >= 1
        run = await say(store, run)
        assert await watch.wait(LONG)
        await do(store, run, AskCancel())
        while (CANCEL, run.id) not in heard:
            assert await watch.wait(LONG)
        assert not await unconcerned.wait(0)
    assert heard[:2] == [(CHANGED, run.id), (QUEUED, run.id)]


async def test_what_is_published_is_told_here_once_and_at_once(both: Any) -> None:
    (_, here), (_, there) = both
    heard: list[tuple[SignalKind, str]] = []
    here.listen(lambda kind, run_id: heard.append((kind, run_id)))
    id, last = an_id(), an_id()
    here.publish(CHANGED, id)
    assert heard == [(CHANGED, id)]
    with here.watch(last) as watch:
        # Whoever hears this has heard all that was told before it.
        there.publish(CHANGED, last)
        assert await watch.wait(LONG)
    assert heard == [(CHANGED, id), (CHANGED, last)]


async def test_many_signals_travel_in_few_notifications(both: Any, postgres: str) -> None:
    (_, here), (_, there) = both
    got: list[str] = []
    ids = [an_id() for _ in range(600)]
    async with a_session(postgres) as session:
        await session.add_listener(CHANNEL, lambda *said: got.append(said[3]))
        with there.watch(ids[-1]) as watch:
            for id in ids:
                for _ in range(5):
                    here.publish(CHANGED, id)
            assert await watch.wait(LONG)
        async with asyncio.timeout(LONG):
            while len(got) < 3:  # its server process may be behind the others
                await session.fetchval("SELECT 1")
    assert len(got) == 3
    assert [run_id for payload in got for _, run_id in signals_of(payload)] == ids


async def test_any_number_of_watchers_is_one_connection(both: Any, postgres: str) -> None:
    (_, here), _ = both
    async with AsyncExitStack() as stack:
        watches = [stack.enter_context(here.watch(an_id())) for _ in range(2_000)]
        async with a_session(postgres) as session:
            listening = await session.fetchval(f"SELECT count(*) FROM {OURS} AND query LIKE '%LISTEN%'")
        assert listening == 2, "one of each process"
        assert not any([await watch.wait(0) for watch in watches])


async def test_a_lost_connection_comes_back_and_then_everybody_looks_again(
    both: Any, way: Way, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwell.store.postgres.signals.AGAIN", 0.01)
    (_, here), (_, there) = both
    id = an_id()
    with there.watch(id) as watch:
        way.cut()
        async with asyncio.timeout(LONG):
            while there.connected.is_set():
                await here.connected.wait()
                await asyncio.sleep(0)
        here.publish(CHANGED, id)
        assert not await watch.wait(0), "lost"
        await way.open()
        assert await watch.wait(LONG), "nobody knows what was missed"
        await kill(postgres)
        assert await watch.wait(LONG)
        with here.watch(id) as answer:
            async with asyncio.timeout(LONG):
                heard = False
                while not heard:  # either may not know yet that it is alone, and what is said then is lost
                    there.publish(CHANGED, id)
                    heard = await answer.wait(0.05)
            assert heard


async def test_without_a_database_signals_are_this_processs_own(way: Way) -> None:
    database = await Database.open(way.url)
    signals = database.signals()
    way.cut()
    await signals.start()
    with signals.watch("a") as watch:
        signals.publish(CHANGED, "a")
        assert await watch.wait(0)
    await signals.close()
    await signals.close()
    await database.close()
    assert not signals.connected.is_set()


def test_a_notification_is_short_enough_and_says_the_same_again() -> None:
    told = [(kind, an_id()) for kind in SignalKind for _ in range(300)]
    said = list(payloads(told))
    assert all(len(payload) <= LONGEST < 8_000 for payload in said)
    assert [signal for payload in said for signal in signals_of(payload)] == told


@pytest.mark.parametrize("payload", ["", "c", "c" + "0" * 31, "?" + "0" * 32, "?" * 33])
def test_what_another_version_says_is_passed_over(payload: str) -> None:
    assert list(signals_of(payload)) == []

"""Signals say "look again": to whoever watches the run, and to listeners."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    HandBack,
    Pause,
    Succeed,
)
from runwell.ports.signals import SignalKind
from runwell.ports.store import Idempotency, Store
from runwell.store.signals import LocalSignals
from runwell.store.sqlite import Database
from tests.support.runs import (
    OWNER,
    WHICH,
    WORKER,
    a_queued_run,
    a_running_run,
    add,
    an_id,
    do,
    doc,
    say,
)

CHANGED, QUEUED, CANCEL = SignalKind.CHANGED, SignalKind.QUEUED, SignalKind.CANCEL_REQUESTED
LONG = 20.0


class Heard(list[tuple[SignalKind, str]]):
    def take(self) -> list[SignalKind]:
        kinds = [kind for kind, _ in self]
        self.clear()
        return kinds


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def store(fast_folder: Path, heard: Heard) -> AsyncIterator[Store]:
    database = Database.open(fast_folder / "runs.db", durability="off")
    store = database.store(lambda kind, run_id: heard.append((kind, run_id)))
    yield store
    await store.close()
    database.close()


async def test_every_commit_is_told_and_queued_runs_twice(store: Store, heard: Heard) -> None:
    run = await a_queued_run(store)
    assert heard == [(CHANGED, run.id), (QUEUED, run.id)]
    heard.clear()
    run = await do(store, run, Claim(worker=WORKER))
    assert heard.take() == [CHANGED]
    run = await say(store, await say(store, run))
    assert heard.take() == [CHANGED, CHANGED]
    run = await do(store, run, Pause(question=WHICH))
    assert heard.take() == [CHANGED]
    run = await do(store, run, Answer(answer=doc(1)))
    assert heard.take() == [CHANGED, QUEUED]
    run = await do(store, await do(store, run, Claim(worker=WORKER)), HandBack())
    assert heard.take() == [CHANGED, CHANGED, QUEUED]
    run = await do(store, await do(store, run, Claim(worker=WORKER)), AskCancel())
    assert heard.take() == [CHANGED, CHANGED, CANCEL]
    await do(store, run, AskCancel())
    assert heard.take() == []


@pytest.mark.parametrize("fields", [{"thread_id": an_id()}, {"concurrency_key": "gpu"}])
async def test_a_place_that_came_free_is_told(store: Store, heard: Heard, fields) -> None:
    run = await a_running_run(store, **fields)
    heard.clear()
    await do(store, run, Succeed(output=doc(1)))
    assert heard.take() == [CHANGED, QUEUED]
    waiting = await do(store, await a_queued_run(store, **fields), Cancel())
    assert waiting.final
    assert heard.take() == [CHANGED, QUEUED, CHANGED, QUEUED]


async def test_nothing_is_told_of_what_was_not_written(store: Store, heard: Heard) -> None:
    key = Idempotency("native", "k", b"f")
    run = (await add(store, idempotency=key)).run
    heard.clear()
    await add(store, idempotency=key)
    await asyncio.gather(
        do(store, run, Claim(worker="a")), do(store, run, Claim(worker="b")), return_exceptions=True
    )
    assert heard == [(CHANGED, run.id)]


async def test_a_deleted_run_is_told(store: Store, heard: Heard) -> None:
    run = await do(store, await a_queued_run(store), Cancel())
    heard.clear()
    await store.runs.delete(run.id, OWNER)
    assert heard == [(CHANGED, run.id)]


async def test_a_signal_is_told_before_the_writer_of_the_change_goes_on(store: Store, heard: Heard) -> None:
    await asyncio.gather(*(a_queued_run(store) for _ in range(10)))
    assert heard.take().count(QUEUED) == 10


async def test_a_watch_hears_of_its_run_only_and_counts_many_changes_as_one() -> None:
    signals = LocalSignals()
    with signals.watch("a") as watch:
        signals.publish(CHANGED, "b")
        assert not await watch.wait(0)
        signals.publish(CHANGED, "a")
        signals.publish(CHANGED, "a")
        assert await watch.wait(LONG)
        assert not await watch.wait(0)


async def test_a_waiting_watch_is_woken() -> None:
    signals = LocalSignals()
    with signals.watch("a") as watch, signals.watch("a") as other:
        waits = [asyncio.ensure_future(one.wait(LONG)) for one in (watch, other)]
        await asyncio.sleep(0)
        signals.publish(CHANGED, "a")
        signals.publish(CHANGED, "a")
        assert await asyncio.gather(*waits) == [True, True]


async def test_a_watch_gives_up_after_its_timeout() -> None:
    with LocalSignals().watch("a") as watch:
        assert not await watch.wait(0.001)


async def test_a_cancelled_wait_leaves_the_watch_usable() -> None:
    signals = LocalSignals()
    with signals.watch("a") as watch:
        waiting = asyncio.ensure_future(watch.wait(LONG))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        signals.publish(CHANGED, "a")
        assert await watch.wait(LONG)


async def test_what_came_before_and_after_watching_is_missed() -> None:
    signals = LocalSignals()
    signals.publish(CHANGED, "a")
    with signals.watch("a") as watch:
        assert not await watch.wait(0)
        with signals.watch("a") as inner:
            signals.publish(CHANGED, "a")
        signals.publish(CHANGED, "a")
        assert await watch.wait(0)
    signals.publish(CHANGED, "a")
    assert not await watch.wait(0)
    assert await inner.wait(0)
    assert not signals._watches, "nothing is kept of those who left"


async def test_listeners_hear_everything_until_they_leave() -> None:
    signals, heard = LocalSignals(), Heard()

    def note(kind: SignalKind, run_id: str) -> None:
        heard.append((kind, run_id))

    leave_first, leave_second = signals.listen(note), signals.listen(note)
    signals.publish(QUEUED, "a")
    assert heard.take() == [QUEUED, QUEUED]
    leave_first()
    leave_first()
    signals.publish(CANCEL, "a")
    assert heard.take() == [CANCEL]
    leave_second()
    signals.publish(CHANGED, "a")
    assert heard.take() == []


async def test_a_listener_may_leave_while_it_is_told() -> None:
    signals, heard = LocalSignals(), Heard()
    leaving: list[Callable[[], None]] = []

    def once(kind: SignalKind, run_id: str) -> None:
        heard.append((kind, run_id))
        leaving[0]()

    leaving.append(signals.listen(once))
    signals.listen(lambda kind, run_id: heard.append((kind, run_id)))
    signals.publish(CHANGED, "a")
    assert len(heard) == 2
    signals.publish(CHANGED, "a")
    assert len(heard) == 3

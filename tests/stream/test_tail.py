"""The live path: everything after a cursor, once, in order, until the end."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from runwell.domain.errors import LogPruned
from runwell.domain.events import LoggedEvent
from runwell.engine import control
from runwell.stream.tail import LOOKS, tail
from tests.support.house import House
from tests.support.lost_signals import LostSignals

LONG = 20.0


def tail_of(house: House, run, after=0, signals=None, **given):
    return tail(house.store, signals or house.signals, run.id, after, **given)


async def seqs(pages) -> list[int]:
    return [line.seq async for page in pages for line in page]


async def next_events(pages) -> list[LoggedEvent]:
    """The next page that has any."""
    while not (page := await asyncio.wait_for(anext(pages), LONG)):
        continue
    return page


async def test_a_finished_run_is_replayed_from_any_cut(house: House):
    run = await house.a_running_run()
    for number in range(7):
        await house.say(run, f"word {number} ")
    run = await house.succeed(run)
    whole = await seqs(tail_of(house, run))
    assert whole == list(range(1, run.last_seq + 1))
    for cut in range(run.last_seq + 2):
        assert await seqs(tail_of(house, run, cut)) == whole[cut:]


async def test_pages_hold_no_more_than_asked_for(house: House):
    run = await house.a_finished_run()
    pages = [len(page) async for page in tail_of(house, run, page=2)]
    assert pages == [2, 1]


async def test_what_happens_is_seen_when_it_happens(house: House):
    run = await house.a_running_run()
    async with aclosing(tail_of(house, run)) as pages:
        assert [line.type for line in await next_events(pages)] == ["run.created", "attempt.started"]
        waiting = asyncio.ensure_future(next_events(pages))
        await house.say(run, "one", "two")
        assert [line.type for line in await waiting] == ["output.text_delta"] * 2
        await house.succeed(run)
        assert [line.type for line in await next_events(pages)] == ["run.succeeded"]
        with pytest.raises(StopAsyncIteration):
            await anext(pages)


async def test_what_happens_while_the_reader_is_busy_is_not_lost(house: House):
    run = await house.a_running_run()
    async with aclosing(tail_of(house, run)) as pages:
        await next_events(pages)
        await house.say(run, "while nobody waits")
        await house.succeed(run)
        assert [line.type for line in await next_events(pages)] == ["output.text_delta", "run.succeeded"]


async def test_a_lost_signal_costs_time_and_nothing_else(house: House):
    run = await house.a_running_run()
    signals = LostSignals()
    async with aclosing(tail_of(house, run, signals=signals)) as pages:
        assert len(await anext(pages)) == 2
        # Each empty page is a wait that brought nothing.
        assert [await anext(pages) for _ in range(4)] == [[]] * 4
        assert signals.waits == [*LOOKS, LOOKS[-1]]
        await house.succeed(run)
        assert [line.type for line in await anext(pages)] == ["run.succeeded"]
    assert signals.watching == 0


async def test_a_cursor_past_the_end_ends_with_the_run(house: House):
    run = await house.a_running_run()
    async with aclosing(tail_of(house, run, 1_000)) as pages:
        waiting = asyncio.ensure_future(seqs(pages))
        await asyncio.sleep(0)
        await house.succeed(run)
        assert await asyncio.wait_for(waiting, LONG) == []


async def test_a_deleted_run_ends(house: House):
    run = await house.a_running_run()
    async with aclosing(tail_of(house, run, signals=LostSignals())) as pages:
        await anext(pages)
        await house.succeed(run)
        await control.delete(house.core, run.owner, run.id)
        assert await asyncio.wait_for(seqs(pages), LONG) == []


async def test_a_reader_that_leaves_is_forgotten(house: House):
    run = await house.a_running_run()
    signals = LostSignals()
    pages = tail_of(house, run, signals=signals)
    await anext(pages)
    assert signals.watching == 1
    await pages.aclose()
    assert signals.watching == 0


async def test_a_pruned_log_says_so(house: House):
    run = await house.a_finished_run()

    async def read(run_id, after, limit):
        raise LogPruned(run_id)

    pruned: Any = SimpleNamespace(runs=house.store.runs, events=SimpleNamespace(read=read))
    with pytest.raises(LogPruned):
        await anext(tail(pruned, house.signals, run.id, 0))


async def test_a_log_that_is_pruned_while_it_is_read_ends(house: House):
    run = await house.a_finished_run()
    house.clock.move(1)
    async with aclosing(tail_of(house, run, page=2)) as pages:
        assert len(await next_events(pages)) == 2
        await house.store.runs.prune_logs(house.clock.now(), 100)
        assert [page async for page in pages] == []


async def test_many_readers_of_one_run_see_the_same(house: House):
    run = await house.a_running_run()
    readers = [asyncio.ensure_future(seqs(tail_of(house, run, cut % 3))) for cut in range(50)]
    for number in range(20):
        await house.say(run, str(number))
    run = await house.succeed(run)
    whole = list(range(1, run.last_seq + 1))
    for cut, seen in enumerate(await asyncio.gather(*readers)):
        assert seen == whole[cut % 3 :]


async def test_who_reads_a_long_log_lets_others_have_their_turn(house: House):
    run = await house.a_running_run()
    await house.say(run, *(f"word {number} " for number in range(40)))
    await house.succeed(run)
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    others = asyncio.ensure_future(other())
    pages = [page async for page in tail_of(house, run, page=4)]
    others.cancel()
    # It waits for nobody, and still nobody waits for all of it.
    assert len(turns) >= len(pages) - 2 > 8

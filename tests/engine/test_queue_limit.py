"""A queue that is full says so, and writes nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runwell.domain import errors
from runwell.domain.commands import Cancel, Claim, HandBack, Pause, Succeed
from runwell.domain.errors import QueueFull
from runwell.domain.ids import new_id
from runwell.domain.json_gate import encode
from runwell.domain.run import Question, Run
from runwell.domain.thread import IfBusy
from runwell.engine import control
from runwell.engine.core import Core
from runwell.engine.queue_limit import QueueLimit
from runwell.engine.submit import Submission, submit
from runwell.ports.store import Idempotency, RunFilter
from tests.support.house import House, a_house

KEY = Idempotency("native", "key-1", b"body")
OWNER = "ann"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


def limited(house: House, most: int) -> Core:
    return replace(house.core, queue=QueueLimit(most))


async def start(core: Core, **fields: Any) -> Run:
    return (await submit(core, Submission(**{"owner": OWNER, "input": "hi", **fields}))).run


async def queued(core: Core) -> int:
    return await core.store.runs.queued(None, 1_000)


async def written(core: Core) -> int:
    return len(await core.store.runs.every(None, 1_000))


class Counted:
    """Counts how often the store was asked, and can hold the answer back."""

    def __init__(self, core: Core) -> None:
        self.times = 0
        self._queued = core.store.runs.queued
        self.before_answer: list[asyncio.Event] = []
        core.store.runs.queued = self.queued  # type: ignore[method-assign]

    async def queued(self, owner: str | None, at_most: int) -> int:
        self.times += 1
        count = await self._queued(owner, at_most)
        for event in self.before_answer:
            await event.wait()
        return count


async def test_so_many_runs_are_queued_and_no_more(house: House):
    core = limited(house, 3)
    for owner in ("ann", "bob", "ann"):
        await start(core, owner=owner)
    with pytest.raises(QueueFull) as refused:
        await start(core, owner="cleo")
    assert (refused.value.code, refused.value.retry_after) == ("queue_full", 5.0)
    assert "3 runs are queued" in refused.value.message
    assert refused.value.hint
    assert await written(core) == 3


async def test_a_refused_submit_leaves_no_thread_and_no_key(house: House):
    core = limited(house, 1)
    await start(core)
    thread = new_id(house.clock.now())
    with pytest.raises(QueueFull):
        await start(core, thread_id=thread, idempotency=KEY)
    with pytest.raises(errors.ThreadNotFound):
        await core.store.threads.get(thread, OWNER)
    assert await core.store.runs.earlier(OWNER, KEY) is None


async def test_many_at_once_do_not_slip_through(house: House):
    core = limited(house, 7)
    for _ in range(3):
        done = await asyncio.gather(*(start(core) for _ in range(40)), return_exceptions=True)
        assert {type(one) for one in done} <= {Run, QueueFull}
        assert await queued(core) == 7
        house.clock.move(0.5)


async def test_those_who_come_while_it_counts_do_not_slip_through_either(house: House):
    core = limited(house, 5)
    counted, answer = Counted(core), asyncio.Event()
    for _ in range(2):
        await start(core)
    house.clock.move(0.5)
    counted.before_answer.append(answer)
    slow = asyncio.ensure_future(start(core))
    for _ in range(10):
        await asyncio.sleep(0)
    # These go by what was known before, and are written before the count comes back.
    await asyncio.gather(*(start(core) for _ in range(2)))
    assert not slow.done()
    answer.set()
    await slow
    with pytest.raises(QueueFull):
        await start(core)
    assert counted.times == 2
    assert await queued(core) == 5


async def test_a_count_knows_of_those_who_are_being_written(house: House, monkeypatch):
    core = limited(house, 3)
    add, may_write = core.store.runs.add, asyncio.Event()

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        await may_write.wait()
        return await add(*args, **kwargs)

    monkeypatch.setattr(core.store.runs, "add", slowly)
    slow = [asyncio.ensure_future(start(core)) for _ in range(2)]
    for _ in range(10):
        await asyncio.sleep(0)
    house.clock.move(0.5)
    monkeypatch.setattr(core.store.runs, "add", add)
    await start(core)
    with pytest.raises(QueueFull):
        await start(core)
    may_write.set()
    await asyncio.gather(*slow)
    assert await queued(core) == 3


async def test_a_place_that_became_free_is_given_away_half_a_second_later(house: House):
    core = limited(house, 2)
    first, second = await start(core), await start(core)
    await house.do(first, Claim(worker="w"))
    await house.do(second, Cancel())
    house.clock.move(0.499)
    with pytest.raises(QueueFull):
        await start(core)
    house.clock.move(0.001)
    await start(core)
    await start(core)
    with pytest.raises(QueueFull):
        await start(core)


async def test_the_store_is_asked_twice_a_second_at_most(house: House):
    core = limited(house, 50)
    counted = Counted(core)
    for _ in range(4):
        await asyncio.gather(*(start(core) for _ in range(30)), return_exceptions=True)
        house.clock.move(0.25)
    assert counted.times == 2
    house.clock.move(-3_600)
    with pytest.raises(QueueFull):
        await start(core)
    assert counted.times == 3


async def test_runs_of_other_processes_and_those_that_come_back_are_seen_in_time(house: House):
    core, elsewhere = limited(house, 3), house.core
    await start(core)
    for _ in range(2):
        await start(elsewhere)
    house.clock.move(0.5)
    with pytest.raises(QueueFull):
        await start(core)
    # What is in is not thrown out: it may be more than the limit.
    claimed = await house.claim(await start(elsewhere))
    await house.do(claimed, HandBack())
    assert await queued(core) == 4


async def test_a_repeated_submit_is_answered_by_a_full_queue(house: House):
    core = limited(house, 1)
    run = await start(core, idempotency=KEY)
    added = await submit(core, Submission(owner=OWNER, input="hi", idempotency=KEY))
    assert (added.run, added.replayed) == (run, True)
    with pytest.raises(errors.IdempotencyMismatch):
        await start(core, idempotency=KEY._replace(fingerprint=b"other"))
    with pytest.raises(QueueFull):
        await start(core, idempotency=KEY._replace(key="key-2"))
    with pytest.raises(QueueFull):
        await start(core, owner="bob", idempotency=KEY)


async def test_what_was_not_written_takes_no_place(house: House):
    core = limited(house, 3)
    thread = new_id(house.clock.now())
    await start(core, thread_id=thread, idempotency=KEY)
    for _ in range(5):
        await start(core, idempotency=KEY)
        with pytest.raises(errors.ThreadBusy):
            await start(core, thread_id=thread, if_busy=IfBusy.REFUSE)
    for _ in range(2):
        await start(core)
    with pytest.raises(QueueFull):
        await start(core)
    assert await queued(core) == 3


async def test_a_caller_who_left_keeps_the_place_until_the_next_count(house: House, monkeypatch):
    core = limited(house, 1)
    add, reached = core.store.runs.add, asyncio.Event()

    async def never(*args: Any, **kwargs: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(core.store.runs, "add", never)
    gone = asyncio.ensure_future(start(core))
    await reached.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    monkeypatch.setattr(core.store.runs, "add", add)
    with pytest.raises(QueueFull):
        await start(core)
    house.clock.move(0.5)
    await start(core)
    assert await queued(core) == 1


async def test_a_retry_is_refused_and_an_answer_is_not(house: House):
    core = limited(house, 2)
    done = await house.succeed(await house.claim(await start(core)))
    asks = await house.do(await house.claim(await start(core)), Pause(question=Question("q", encode("?"))))
    house.clock.move(0.5)
    for _ in range(2):
        await start(core)
    with pytest.raises(QueueFull):
        await control.retry(core, OWNER, done.id)
    await control.answer(core, OWNER, asks.id, "yes")
    assert await queued(core) == 3
    assert await core.store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=9) != []


async def test_zero_is_no_limit_and_asks_nothing(house: House):
    core = limited(house, 0)
    counted = Counted(core)
    for _ in range(20):
        await start(core)
    assert counted.times == 0
    assert await queued(core) == 20


async def test_a_wrong_request_is_told_what_is_wrong_with_it_first(house: House):
    core = limited(house, 1)
    await house.do(await house.claim(await start(core)), Succeed(output=encode(1)))
    house.clock.move(0.5)
    await start(core)
    with pytest.raises(errors.AgentNotFound):
        await start(core, agent="nobody")

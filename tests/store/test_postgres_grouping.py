"""Writes that come together share a transaction, and each fares as if it had one of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from runwell.domain.callback import ENDINGS, Callback
from runwell.domain.commands import Cancel, Claim, HandBack, Succeed
from runwell.domain.errors import AttemptSuperseded, NotItsTurn, RunNotFound, StaleRun, StoreUnavailable
from runwell.domain.events import StepFinished, StepStarted, TextDelta, UsageCounted
from runwell.domain.lifecycle import decide
from runwell.domain.run import Run, RunStatus, Usage
from runwell.ports.signals import SignalKind
from runwell.ports.store import Added, Store
from runwell.store.postgres import Database
from runwell.store.postgres.committing import CommitChange
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.grouping import LANES
from runwell.store.postgres.offers import Enlist, Offer
from runwell.store.postgres.together import WriteTogether
from tests.support.postgres import LONG, a_postgres_store, a_session, a_way, until_it_waits
from tests.support.runs import (
    NOW,
    WORKER,
    a_create,
    a_queued_run,
    a_running_run,
    add,
    an_id,
    do,
    doc,
    record,
    say,
)

pytestmark = pytest.mark.postgres

CLAIM = Claim(worker=WORKER)
STEPS = (
    UsageCounted(usage=Usage(9), in_step="a"),
    StepStarted(key="a", name="a"),
    UsageCounted(usage=Usage(1, 2), in_step="a"),
    StepFinished(key="a", name="a", started_at=NOW, output=doc("a")),
    UsageCounted(usage=Usage(3), in_step="a"),
)


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[Store]:
    async with a_postgres_store(postgres) as store:
        yield store


@asynccontextmanager
async def enlisting(postgres: str, enlist: Enlist, heard: list[Any] | None = None) -> AsyncIterator[Store]:
    database = await Database.open(postgres)
    yield database.store(None if heard is None else lambda *signal: heard.append(signal), enlist)
    await database.close()


async def at_once(*asked: Any) -> list[Any]:
    """The answers, refusals among them."""
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    return answers


async def transactions(postgres: str, table: str) -> int:
    """How many have written the rows that are there now."""
    async with a_session(postgres) as session:
        return int(await session.fetchval(f"SELECT count(DISTINCT xmin::text) FROM {table}"))


async def test_what_comes_at_once_is_written_by_few_transactions(store: Store, postgres: str) -> None:
    added = await asyncio.gather(*(add(store) for _ in range(60)))
    assert await transactions(postgres, "runs") <= LANES
    runs = await asyncio.gather(*(do(store, each.run, CLAIM) for each in added))
    runs = await asyncio.gather(*(record(store, run, *STEPS) for run in runs))
    assert await transactions(postgres, "runs") <= LANES
    assert [await store.runs.get(run.id) for run in runs] == runs
    assert [run.last_seq for run in runs] == [7] * 60


async def test_a_refused_change_leaves_the_others(store: Store, postgres: str) -> None:
    runs = [await a_running_run(store) for _ in range(10)]
    stale, lost = await a_queued_run(store), await a_running_run(store)
    await do(store, stale, Cancel())
    thread = an_id()
    _, behind = [await a_queued_run(store, thread_id=thread, in_order=True) for _ in range(2)]
    asked = [say(store, run) for run in runs]
    asked[3:3] = [
        do(store, stale, CLAIM), say(store, replace(lost, attempt=2)), do(store, behind, CLAIM),
        say(store, replace(lost, id=an_id())), say(store, lost),
    ]  # fmt: skip
    results = await at_once(*asked)
    wanted = [StaleRun, AttemptSuperseded, NotItsTurn, RunNotFound, Run]
    assert [type(result) for result in results[3:8]] == wanted
    assert [(await store.runs.get(run.id)).last_seq for run in (*runs, lost)] == [3] * 11
    assert await store.runs.get(behind.id) == behind
    assert await transactions(postgres, "events WHERE seq = 3") <= LANES, "they were not done again"


async def test_steps_and_deliveries_are_those_of_a_change_by_itself(store: Store) -> None:
    callbacks = (Callback(url="https://app.test/hook", events=("run.created", *ENDINGS)),)

    async def life(run: Run) -> Run:
        run = await record(store, await do(store, run, CLAIM), *STEPS)
        return await do(store, run, Succeed(output=doc(1)))

    alone = await life(await a_queued_run(store, callbacks=callbacks))
    (step,) = await store.steps.of(alone.id)
    assert (step.usage, step.output) == (Usage(4, 2), doc("a")), "what it used before it began is the run's"
    added = await asyncio.gather(*(add(store, callbacks=callbacks) for _ in range(5)))
    for run in await asyncio.gather(*(life(each.run) for each in added)):
        assert await store.steps.of(run.id) == await store.steps.of(alone.id)
        told = await store.deliveries.of(run.id)
        assert [(each.event, each.seq) for each in told] == [("run.created", 1), ("run.succeeded", 8)]


async def test_a_fault_in_a_group_falls_on_whoever_has_it(postgres: str) -> None:
    broken: set[str] = set()
    offered: list[str] = []
    heard: list[Any] = []

    async def enlist(connection: Any, offers: Sequence[Offer]) -> None:
        if broken & {offer.run_id for offer in offers}:
            raise RuntimeError("the queue is broken")
        offered.extend(offer.run_id for offer in offers)

    async with enlisting(postgres, enlist, heard) as store:
        runs = [await a_running_run(store) for _ in range(6)]
        broken.add(runs[2].id)
        offered.clear()
        heard.clear()
        results = await at_once(*(do(store, run, HandBack()) for run in runs), add(store, priority=2**70))
        assert isinstance(results[2], RuntimeError)
        assert "int64" in str(results[6])
        kept = [run for run in runs if run is not runs[2]]
        assert sorted(offered) == sorted(run.id for run in kept)
        queued = {id for kind, id in heard if kind is SignalKind.QUEUED}
        assert queued == {run.id for run in kept}
        assert [(await store.runs.get(run.id)).status for run in kept] == [RunStatus.QUEUED] * 5
        assert await store.runs.get(runs[2].id) == runs[2]
        assert len(await store.runs.every(None, 10)) == 6


async def test_the_offers_of_a_group_come_once_and_together(postgres: str) -> None:
    calls: list[list[str]] = []

    async def enlist(connection: Any, offers: Sequence[Offer]) -> None:
        calls.append([offer.run_id for offer in offers])

    async with enlisting(postgres, enlist) as store:
        running = await a_running_run(store, priority=3, definition=doc({"model": "m"}))
        calls.clear()
        back = asyncio.ensure_future(do(store, running, HandBack()))
        added = await asyncio.gather(*(add(store) for _ in range(20)))
        await back
        assert len(calls) <= 2
        offered = [id for ids in calls for id in ids]
        assert sorted(offered) == sorted([running.id, *(each.run.id for each in added)])
        order = {each.run.id: place for place, each in enumerate(added, 1)} | {running.id: 0}
        assert all(ids == sorted(ids, key=order.__getitem__) for ids in calls), "as they were handed in"


@pytest.mark.parametrize("loses", ["answer", "commit"])
async def test_the_fate_of_a_commit_without_an_answer_is_that_of_all_in_it(postgres: str, loses: str) -> None:
    async with a_way(postgres) as way, a_postgres_store(way.url) as store:
        runs = [await a_running_run(store) for _ in range(5)]
        way.loses = loses
        results = await at_once(*(say(store, run) for run in runs), add(store))
        assert way.loses is None
        kept = [(await store.runs.get(run.id)).last_seq for run in runs]
        if loses == "answer":
            assert [result.last_seq for result in results[:5]] == kept == [3] * 5
            assert isinstance(results[5], Added)
        else:
            assert all(isinstance(result, StoreUnavailable) for result in results)
            assert len({id(result) for result in results}) == 6, "an error of one's own"
            assert kept == [2] * 5
            assert len(await store.runs.every(None, 10)) == 5


async def test_who_gives_up_takes_nothing_from_the_others(postgres: str) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()
    gate.set()

    async def enlist(connection: Any, offers: Sequence[Offer]) -> None:
        begun.set()
        await gate.wait()

    async with enlisting(postgres, enlist) as store, asyncio.timeout(LONG):
        runs = [await a_running_run(store) for _ in range(4)]
        begun.clear()
        gate.clear()
        first = [asyncio.ensure_future(each) for each in (add(store), *(say(store, run) for run in runs))]
        await begun.wait()
        first[1].cancel()
        # About the same run: it waits for what may be written yet.
        after = asyncio.ensure_future(say(store, runs[0], "after"))
        blocking = []
        for _ in range(LANES - 1):
            begun.clear()
            blocking.append(asyncio.ensure_future(add(store)))
            await begun.wait()
        later = [asyncio.ensure_future(add(store)) for _ in range(3)]
        await asyncio.sleep(0)
        later[0].cancel()
        gate.set()
        results = await at_once(*first, *blocking, *later, after)
        assert [type(result) for result in results] == [
            Added, asyncio.CancelledError, Run, Run, Run, *[Added] * (LANES - 1),
            asyncio.CancelledError, Added, Added, Run,
        ]  # fmt: skip
        log = await store.events.read(runs[0].id, 2, 9)
        assert [line.event for line in log] == [TextDelta(text="word "), TextDelta(text="after")]
        wanted = 4 + 1 + len(blocking) + 2
        assert len(await store.runs.every(None, 20)) == wanted, "who gave up before it began wrote nothing"


class SlowPool:
    """Stands in for `Pool`: says when it is asked to write, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()

    async def write(self, work: Any, told: Any) -> Any:
        self.asked.put_nowait(work)
        await self.gate.wait()
        return [None] if isinstance(work, WriteTogether) else work


async def test_a_change_waits_for_one_that_was_given_up_and_may_be_written_yet() -> None:
    pool: Any = SlowPool()
    desk = Desk(pool, None, None)
    run = decide(None, a_create(), NOW).run
    first, second, third = (CommitChange(decide(run, CLAIM, NOW), NOW, None, None) for _ in range(3))
    async with asyncio.timeout(LONG):
        given_up = asyncio.ensure_future(desk.commit(first, run.id))
        await pool.asked.get()
        given_up.cancel()
        following = asyncio.ensure_future(desk.commit(second, run.id))
        assert isinstance((await at_once(given_up))[0], asyncio.CancelledError)
        elsewhere = asyncio.ensure_future(desk.commit(third, an_id()))
        begun = await pool.asked.get()
        assert [change for _, change in begun._changes] == [third], "another run's goes on, this one's waits"
        pool.gate.set()
        assert await at_once(following, elsewhere) == [second, third]


async def test_a_row_that_somebody_has_holds_up_nobody_else(store: Store, postgres: str) -> None:
    wanted, *free = [await a_running_run(store) for _ in range(6)]
    async with a_session(postgres) as other:
        await other.execute("BEGIN")
        await other.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", bytes.fromhex(wanted.id))
        waiting = asyncio.ensure_future(say(store, wanted))
        said = await asyncio.gather(*(say(store, run) for run in free))
        assert [run.last_seq for run in said] == [3] * 5
        await until_it_waits(postgres)
        assert not waiting.done()
        await other.execute("COMMIT")
        assert (await waiting).last_seq == 3

"""The seam to a queue on the same database: who may start is offered with the change that lets it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from runwell.domain.commands import (
    Answer,
    AskCancel,
    Cancel,
    Claim,
    Command,
    HandBack,
    Lapse,
    Pause,
    Succeed,
    TryAgain,
)
from runwell.domain.errors import NotItsTurn, StaleRun
from runwell.domain.run import Run
from runwell.ports.store import Idempotency, Store
from runwell.store.postgres import Database
from runwell.store.postgres.offers import Offer
from tests.support.postgres import a_session
from tests.support.runs import (
    AGENT,
    BROKE,
    NOW,
    WHICH,
    WORKER,
    a_queued_run,
    add,
    an_id,
    do,
    doc,
    say,
    startable,
)

pytestmark = pytest.mark.postgres

CLAIM = Claim(worker=WORKER)


@dataclass
class Queue:
    """What has been offered, and a table of it that is written inside the transactions."""

    offers: list[Offer] = field(default_factory=list)
    refuses: bool = False

    async def enlist(self, connection: Any, offers: Sequence[Offer]) -> None:
        self.offers += offers
        rows = [(bytes.fromhex(offer.run_id), offer.attempt) for offer in offers]
        await connection.executemany("INSERT INTO test_jobs (run_id, attempt) VALUES ($1, $2)", rows)
        if self.refuses:
            raise RuntimeError("the queue is broken")

    def take(self) -> list[str]:
        ids = [offer.run_id for offer in self.offers]
        self.offers.clear()
        return ids


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
async def store(postgres: str, queue: Queue) -> AsyncIterator[Store]:
    async with a_session(postgres) as session:
        await session.execute("CREATE TABLE test_jobs (run_id bytea, attempt bigint)")
        database = await Database.open(postgres)
        yield database.store(enlist=queue.enlist)
        await database.close()
        await session.execute("DROP TABLE test_jobs")


async def jobs(postgres: str) -> list[tuple[str, int]]:
    async with a_session(postgres) as session:
        rows = await session.fetch("SELECT run_id, attempt FROM test_jobs")
    return [(run_id.hex(), attempt) for run_id, attempt in rows]


async def test_a_new_run_is_offered_with_what_its_queue_needs_to_know(store: Store, queue: Queue) -> None:
    run = await a_queued_run(store, priority=7, not_before=NOW + 5, definition=doc({"model": "m"}))
    assert queue.offers == [Offer(run.id, 1, AGENT, True, 7, NOW + 5)]


async def test_a_run_that_queues_again_is_offered_for_its_next_attempt(store: Store, queue: Queue) -> None:
    run = await a_queued_run(store)
    commands: list[Command] = [HandBack(), Lapse(seen_at=NOW), TryAgain(error=BROKE, delay=1.0)]
    for attempt, command in enumerate(commands, 2):
        run = await do(store, run, CLAIM)
        run = await say(store, run)
        queue.take()
        run = await do(store, run, command)
        (offer,) = queue.offers
        assert (offer.run_id, offer.attempt, offer.not_before) == (run.id, attempt, run.not_before)
    run = await do(store, run, Claim(worker=WORKER), NOW + 1_000_000)
    queue.take()
    run = await do(store, run, Pause(question=WHICH))
    assert queue.take() == []
    await do(store, run, Answer(answer=doc(1)))
    assert queue.take() == [run.id]


async def test_nothing_is_offered_for_what_moves_nobody(store: Store, queue: Queue) -> None:
    run = await do(store, await a_queued_run(store), CLAIM)
    queue.take()
    run = await do(store, await say(store, run), AskCancel())
    run = await do(store, run, Succeed(output=doc(1)))
    await store.runs.delete(run.id, run.owner)
    key = Idempotency("native", "k", b"f")
    await add(store, idempotency=key)
    queue.take()
    assert (await add(store, idempotency=key)).replayed
    assert queue.take() == []


async def test_the_next_of_a_thread_is_offered_by_the_end_that_lets_it_go(store: Store, queue: Queue) -> None:
    thread = an_id()
    runs = [await a_queued_run(store, thread_id=thread, in_order=True) for _ in range(4)]
    assert queue.take() == [runs[0].id], "the others are behind it"
    await do(store, runs[1], Cancel())
    assert queue.take() == []
    await do(store, await do(store, runs[0], CLAIM), Succeed(output=doc(1)))
    assert queue.take() == [runs[2].id]


async def test_the_best_of_a_key_is_offered_by_whoever_frees_it(store: Store, queue: Queue) -> None:
    async def queued(at: int, **fields: Any) -> Run:
        return await a_queued_run(store, at, concurrency_key="gpu", **fields)

    first = await queued(NOW)
    assert queue.take() == [first.id]
    second = await queued(NOW + 1)
    assert queue.take() == [first.id], "doubled, since it is still who comes first"
    first = await do(store, first, CLAIM)
    urgent = await queued(NOW + 2, priority=5)
    later = await queued(NOW + 3, priority=9, not_before=NOW + 100)
    foreign = await queued(NOW + 4, owner="eve")
    assert queue.take() == [later.id, foreign.id], "what waits for its time is offered for then"
    first = await do(store, first, Pause(question=WHICH), NOW + 5)
    assert queue.take() == [urgent.id]
    urgent = await do(store, urgent, CLAIM, NOW + 6)
    await do(store, first, Answer(answer=doc(1)), NOW + 7)
    assert queue.take() == []
    await do(store, urgent, Cancel() if not urgent.worker else Succeed(output=doc(1)), NOW + 8)
    assert queue.take() == [second.id]
    await do(store, second, Cancel(), NOW + 100)
    assert queue.take() == [later.id], "its time has come, and its priority is higher"


async def test_what_may_start_has_always_been_offered(store: Store, queue: Queue) -> None:
    thread = an_id()
    fields: list[dict[str, Any]] = [
        {"thread_id": thread, "in_order": True},
        {"thread_id": thread, "in_order": True, "concurrency_key": "k"},
        {"concurrency_key": "k"},
        {"concurrency_key": "k", "priority": 3},
        {"thread_id": thread, "in_order": True, "concurrency_key": "j"},
        {"concurrency_key": "j"},
        {},
    ]
    for each in fields:
        await a_queued_run(store, **each)
    offered = set(queue.take())
    ended = 0
    while ready := await startable(store):
        assert set(ready) <= offered
        offered -= {ready[0]}
        run = await do(store, await store.runs.get(ready[0]), CLAIM)
        offered |= set(queue.take())
        assert set(await startable(store)) <= offered
        await do(store, run, Succeed(output=doc(1)))
        offered |= set(queue.take())
        ended += 1
    assert ended == len(fields)


async def test_the_job_is_there_with_the_change_or_neither_is(
    store: Store, queue: Queue, postgres: str
) -> None:
    run = await a_queued_run(store)
    assert await jobs(postgres) == [(run.id, 1)]
    running = await do(store, run, CLAIM)
    with pytest.raises(StaleRun):
        await do(store, run, Cancel())
    queue.refuses = True
    for change in (add(store), do(store, running, HandBack())):
        with pytest.raises(RuntimeError, match="broken"):
            await change
    assert await jobs(postgres) == [(run.id, 1)]
    assert await store.runs.every(None, 10) == [running]
    queue.refuses = False
    await do(store, running, HandBack())
    assert await jobs(postgres) == [(run.id, 1), (run.id, 2)]


async def test_whoever_frees_a_key_and_whoever_queues_up_for_it_see_each_other(
    store: Store, queue: Queue, postgres: str
) -> None:
    database = await Database.open(postgres)
    elsewhere = database.store(enlist=queue.enlist)
    for number in range(25):
        fields: dict[str, Any] = {"concurrency_key": f"k{number}"}
        holder = await do(store, await a_queued_run(store, **fields), CLAIM)
        queue.take()
        _, added = await asyncio.gather(
            do(store, holder, Succeed(output=doc(1))), add(elsewhere, agent="other", **fields)
        )
        assert set(queue.take()) == {added.run.id}, "or it would wait for ever"
    await database.close()


async def test_a_claim_that_comes_too_early_is_offered_again(
    store: Store, queue: Queue, postgres: str
) -> None:
    database = await Database.open(postgres)
    elsewhere = database.store(enlist=queue.enlist)
    for number in range(20):
        fields: dict[str, Any] = {"concurrency_key": f"k{number}"}
        holder = await do(store, await a_queued_run(store, **fields), CLAIM)
        following = await a_queued_run(store, **fields)
        queue.take()
        _, claimed = await asyncio.gather(
            do(store, holder, Succeed(output=doc(1))), do(elsewhere, following, CLAIM), return_exceptions=True
        )
        assert isinstance(claimed, Run | NotItsTurn)
        assert isinstance(claimed, Run) or queue.take() == [following.id], "or it would wait for ever"
    await database.close()

"""Several processes on one database: each race has one winner, and nobody waits in a circle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from runwell.domain.callback import StandingCallback
from runwell.domain.commands import AskCancel, Cancel, Claim, Command, HandBack, Lapse, Succeed
from runwell.domain.errors import IdempotencyMismatch, NotItsTurn, StaleRun, ThreadBusy
from runwell.domain.events import FINAL_TYPES, TextDelta
from runwell.domain.run import Run, RunStatus
from runwell.domain.thread import IfBusy, Role
from runwell.ports.store import Added, Idempotency, NewMessage, Store
from tests.store.test_outbox import a_secret
from tests.support.postgres import LONG, a_postgres_store, a_session, until_it_waits
from tests.support.runs import (
    NOW,
    OWNER,
    WORKER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    add,
    an_id,
    do,
    doc,
    record,
    say,
    startable,
)

pytestmark = pytest.mark.postgres

KEY = Idempotency("native", "key", b"body")
HELLO = NewMessage(Role.USER, doc("hello"))


@pytest.fixture
async def stores(postgres: str) -> AsyncIterator[list[Store]]:
    """Three, each with connections of its own, as three processes have them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_postgres_store(postgres, connections=4)) for _ in range(3)]


async def at_once(*asked: Any) -> list[Any]:
    """The answers, refusals among them."""
    answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    return answers


async def test_of_many_claims_on_many_machines_one_wins(stores: list[Store]) -> None:
    for _ in range(20):
        run = await a_queued_run(stores[0])
        results = await at_once(*(do(store, run, Claim(worker=f"w{n}")) for n, store in enumerate(stores)))
        assert sorted(type(result).__name__ for result in results) == ["Run", "StaleRun", "StaleRun"]
        log = await stores[1].events.read(run.id, 0, 10)
        assert [(line.seq, line.type) for line in log] == [(1, "run.created"), (2, "attempt.started")]


async def test_of_claims_under_one_key_on_several_machines_one_wins(stores: list[Store]) -> None:
    for number in range(20):
        runs = [await a_queued_run(stores[0], concurrency_key=f"k{number}") for _ in stores]
        claims = [do(store, run, Claim(worker=WORKER)) for store, run in zip(stores, runs, strict=True)]
        results = await at_once(*claims)
        assert sorted(type(result).__name__ for result in results) == ["NotItsTurn", "NotItsTurn", "Run"]


async def test_a_claim_waits_for_whoever_is_about_its_key_and_then_looks(
    stores: list[Store], postgres: str
) -> None:
    first, second = [await a_queued_run(stores[0], concurrency_key="k") for _ in range(2)]
    async with a_session(postgres) as other:
        await other.execute("BEGIN")
        await other.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 20510))", f"{OWNER}\nk")
        await other.execute("UPDATE runs SET status = 'running' WHERE id = $1", bytes.fromhex(first.id))
        claiming = asyncio.ensure_future(do(stores[1], second, Claim(worker=WORKER)))
        await until_it_waits(postgres)
        await other.execute("COMMIT")
    with pytest.raises(NotItsTurn):
        await claiming


async def test_a_change_waits_for_the_row_and_then_sees_that_it_is_too_late(
    stores: list[Store], postgres: str
) -> None:
    run = await a_queued_run(stores[0])
    async with a_session(postgres) as other:
        await other.execute("BEGIN")
        await other.execute("UPDATE runs SET version = version + 1")
        claiming = asyncio.ensure_future(do(stores[0], run, Claim(worker=WORKER)))
        await until_it_waits(postgres)
        await other.execute("COMMIT")
    with pytest.raises(StaleRun):
        await claiming
    assert (await stores[0].runs.get(run.id)).status is RunStatus.QUEUED


async def test_of_several_ends_on_several_machines_one_is_written(stores: list[Store]) -> None:
    ends: list[Command] = [Succeed(output=doc(1)), Lapse(seen_at=NOW), HandBack()]
    for _ in range(20):
        run = await a_running_run(stores[0])
        results = await at_once(*(do(store, run, end) for store, end in zip(stores, ends, strict=True)))
        assert sum(isinstance(result, Run) for result in results) == 1
        log = await stores[0].events.read(run.id, 0, 10)
        assert [line.seq for line in log] == [1, 2, 3]
        assert sum(line.type in FINAL_TYPES for line in log) <= 1


async def test_what_an_attempt_says_while_it_is_cancelled_elsewhere_has_no_gap(stores: list[Store]) -> None:
    worker, server, _ = stores
    run = await say(worker, await a_running_run(worker))

    async def talk(run: Run) -> Run:
        for number in range(40):
            run = await record(worker, run, *[TextDelta(text=f"{number}")] * (number % 3 + 1))
        return run

    said, asked = await asyncio.gather(talk(run), do(server, run, AskCancel()))
    assert asked.cancel_requested_at is not None
    # Both may end in either order; whoever writes after both knows of the cancel.
    said = await record(worker, said, TextDelta(text="last"))
    assert said.cancel_requested_at == asked.cancel_requested_at
    log = await server.events.read(run.id, 0, 1_000)
    assert [line.seq for line in log] == list(range(1, len(log) + 1))
    assert len(log) == 5 + sum(number % 3 + 1 for number in range(40))
    assert (await server.runs.get(run.id)).last_seq == len(log)


async def test_one_key_on_three_machines_is_one_run(stores: list[Store]) -> None:
    for number in range(5):
        key = KEY._replace(key=f"key-{number}")
        added = await asyncio.gather(*(add(store, idempotency=key) for store in stores for _ in range(4)))
        assert len({one.run.id for one in added}) == 1
        assert sum(not one.replayed for one in added) == 1
    assert len(await stores[0].runs.every(None, 100)) == 5


async def test_one_key_with_two_bodies_at_once_is_one_run_and_a_refusal(stores: list[Store]) -> None:
    keys = [KEY, KEY._replace(fingerprint=b"other"), KEY]
    results = await at_once(*(add(store, idempotency=key) for store, key in zip(stores, keys, strict=True)))
    refusals = [result for result in results if isinstance(result, IdempotencyMismatch)]
    (run,) = await stores[0].runs.every(None, 100)
    assert 1 <= len(refusals) <= 2
    assert {refusal.run_id for refusal in refusals} == {run.id}


async def test_the_key_of_a_deleted_run_is_taken_by_one(stores: list[Store]) -> None:
    for _ in range(5):
        first = (await add(stores[0], idempotency=KEY)).run
        first = await do(stores[0], first, Cancel())
        await stores[0].runs.delete(first.id, OWNER)
        added = await asyncio.gather(*(add(store, idempotency=KEY) for store in stores for _ in range(3)))
        assert len({one.run.id for one in added}) == 1
        assert sum(not one.replayed for one in added) == 1
        await stores[0].runs.forget_idempotency(NOW + 1, 10)


async def test_a_new_thread_is_made_once_and_numbers_its_messages(stores: list[Store]) -> None:
    thread = an_id()
    await asyncio.gather(
        *(add(store, thread_id=thread, message=HELLO, in_order=True) for store in stores for _ in range(5))
    )
    messages = await stores[0].threads.messages(thread, limit=100)
    assert [message.position for message in messages] == list(range(1, 16))
    assert len(await startable(stores[0])) == 1, "one is first, all others are behind it"


async def test_a_thread_that_refuses_lets_one_in(stores: list[Store]) -> None:
    for _ in range(5):
        thread = an_id()
        results = await at_once(
            *(add(store, thread_id=thread, message=HELLO, if_busy=IfBusy.REFUSE) for store in stores)
        )
        assert sorted(type(result).__name__ for result in results) == ["Added", "ThreadBusy", "ThreadBusy"]
        (run,) = [result.run for result in results if isinstance(result, Added)]
        assert {result.run_id for result in results if isinstance(result, ThreadBusy)} == {run.id}
        assert (await stores[0].threads.get(thread, OWNER)).messages == 1


async def test_runs_of_one_thread_that_end_at_once_let_the_next_one_go(stores: list[Store]) -> None:
    for _ in range(5):
        thread = an_id()
        runs = [await a_queued_run(stores[0], thread_id=thread, in_order=True) for _ in range(9)]
        await asyncio.gather(*(do(stores[n % 3], run, Cancel()) for n, run in enumerate(runs[:8])))
        assert await startable(stores[0]) == [runs[8].id]
        await do(stores[0], runs[8], Cancel())


async def test_ends_and_submits_of_one_thread_leave_exactly_one_first(stores: list[Store]) -> None:
    for _ in range(10):
        thread = an_id()
        first = await a_queued_run(stores[0], thread_id=thread, in_order=True)
        _, *added = await at_once(
            do(stores[0], first, Cancel()),
            *(add(store, thread_id=thread, in_order=True) for store in stores[1:]),
        )
        offered = await startable(stores[0])
        assert len(offered) == 1, "nobody waits for nobody"
        assert offered[0] in {one.run.id for one in added}
        for one in added:
            await do(stores[0], one.run, Cancel())


async def test_a_thread_is_not_deleted_under_a_submit(stores: list[Store]) -> None:
    for _ in range(10):
        thread = an_id()
        await a_succeeded_run(stores[0], thread_id=thread, message=HELLO)
        added, deleted = await at_once(
            add(stores[1], thread_id=thread, message=HELLO), stores[0].threads.delete(thread, OWNER)
        )
        kept = await stores[2].threads.get(thread, OWNER)
        assert kept.messages == (1 if deleted is None else 2)
        assert (await stores[2].runs.get(added.run.id)).thread_id == thread


async def test_a_callback_made_elsewhere_is_told_of_the_very_next_event(stores: list[Store]) -> None:
    here, there, _ = stores
    run = await a_running_run(here)
    callback = StandingCallback(id=an_id(), owner=OWNER, url="https://app.test/hook", created_at=NOW)
    await there.callbacks.add(callback, a_secret(callback.id))
    await do(here, run, Succeed(output=doc(1)))
    assert [each.callback_id for each in await there.deliveries.of(run.id)] == [callback.id]
    await there.callbacks.delete(callback.id, OWNER)
    late = await a_succeeded_run(here)
    assert await there.deliveries.of(late.id) == []


async def test_an_owners_first_secret_is_one_on_all_machines(stores: list[Store]) -> None:
    found = await asyncio.gather(*(store.callbacks.first_secret(a_secret()) for store in stores * 3))
    assert len({secret.id for secret in found}) == 1
    assert len(await stores[0].callbacks.secrets(OWNER, None, NOW)) == 1


async def test_many_writers_of_many_runs_in_few_threads_all_get_through(stores: list[Store]) -> None:
    threads = [an_id() for _ in range(3)]
    ends = asyncio.Condition()
    ended: list[Run] = []

    def enough(count: int) -> bool:
        return len(ended) >= count

    async def claimed(store: Store, run: Run) -> Run:
        while True:
            after = len(ended) + 1
            try:
                return await do(store, run, Claim(worker=WORKER))
            except NotItsTurn:
                async with ends:
                    await ends.wait_for(partial(enough, after))

    async def life(store: Store, number: int) -> None:
        run = await a_queued_run(
            store, thread_id=threads[number % 3], message=HELLO, concurrency_key=f"k{number % 4}",
            in_order=number % 2 == 0,
        )  # fmt: skip
        run = await record(store, await claimed(store, run), TextDelta(text="word"))
        run = await do(store, run, Succeed(output=doc(number)))
        async with ends:
            ended.append(run)
            ends.notify_all()

    async with asyncio.timeout(LONG):
        await asyncio.gather(*(life(stores[number % 3], number) for number in range(24)))
    assert all(run.final for run in ended)
    for thread in threads:
        messages = await stores[0].threads.messages(thread, limit=100)
        assert all(b.position == a.position + 1 for a, b in pairwise(messages))
        assert len(messages) == 8

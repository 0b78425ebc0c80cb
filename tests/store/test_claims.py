"""A run starts in its turn: not beside the holder of its key, not before its thread has come to it."""

import asyncio

import pytest

from runwell.domain.commands import Claim, HandBack, Succeed
from runwell.domain.errors import NotItsTurn, StaleRun
from runwell.domain.run import RunStatus
from runwell.ports.store import Store
from tests.support.runs import WORKER, a_queued_run, a_running_run, an_id, do, doc, log_of

CLAIM = Claim(worker=WORKER)


async def test_a_second_run_under_a_held_key_cannot_be_claimed(store: Store) -> None:
    first = await a_queued_run(store, concurrency_key="gpu")
    second = await a_queued_run(store, concurrency_key="gpu")
    first = await do(store, first, CLAIM)
    with pytest.raises(NotItsTurn):
        await do(store, second, CLAIM)
    assert await store.runs.get(second.id) == second
    assert len(await log_of(store, second)) == 1
    await a_running_run(store, concurrency_key="gpu", owner="eve")
    await a_running_run(store, concurrency_key="cpu")
    await do(store, first, Succeed(output=doc(1)))
    assert (await do(store, second, CLAIM)).status is RunStatus.RUNNING


async def test_the_holder_of_a_key_may_have_it_again(store: Store) -> None:
    run = await a_running_run(store, concurrency_key="gpu")
    run = await do(store, await do(store, run, HandBack()), CLAIM)
    assert (run.status, run.attempt) == (RunStatus.RUNNING, 2)


async def test_a_run_that_is_behind_another_in_its_thread_cannot_be_claimed(store: Store) -> None:
    thread = an_id()
    first = await a_queued_run(store, thread_id=thread, in_order=True)
    second = await a_queued_run(store, thread_id=thread, in_order=True)
    free = await a_queued_run(store, thread_id=thread)
    with pytest.raises(NotItsTurn):
        await do(store, second, CLAIM)
    assert await store.runs.get(second.id) == second
    assert len(await log_of(store, second)) == 1
    await do(store, free, CLAIM)
    first = await do(store, first, CLAIM)
    with pytest.raises(NotItsTurn):
        await do(store, second, CLAIM)
    await do(store, first, Succeed(output=doc(1)))
    assert (await do(store, second, CLAIM)).status is RunStatus.RUNNING


async def test_of_claims_under_one_key_that_come_at_once_one_wins(store: Store) -> None:
    runs = [await a_queued_run(store, concurrency_key="gpu") for _ in range(4)]
    results = await asyncio.gather(*(do(store, run, CLAIM) for run in runs), return_exceptions=True)
    assert [type(result) for result in results].count(NotItsTurn) == 3
    assert len(await store.runs.held()) == 1


async def test_a_claim_that_is_too_late_is_told_so_whoever_holds_the_key(store: Store) -> None:
    run = await a_queued_run(store, concurrency_key="gpu")
    await do(store, run, CLAIM)
    with pytest.raises(StaleRun) as refused:
        await do(store, run, CLAIM)
    assert not isinstance(refused.value, NotItsTurn)

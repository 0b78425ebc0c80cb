"""Logs and runs that are not kept any longer: what goes, what stays, and what a long log looks like."""

import pytest

from runwell.domain.callback import Callback
from runwell.domain.commands import Claim, Succeed
from runwell.domain.errors import LogPruned, RunNotFound
from runwell.domain.events import StepFinished, StepStarted, TextDelta
from runwell.domain.run import Run, RunStatus
from runwell.domain.step import StepStatus
from runwell.domain.thread import Role
from runwell.ports.store import Idempotency, NewMessage, Pruned, RunFilter, Store
from tests.support.runs import (
    NOW,
    OWNER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    a_waiting_run,
    add,
    an_id,
    do,
    doc,
    log_of,
    record,
)

DONE = Pruned(0, 0)
TOLD = Callback(url="https://app.test/a", events=("run.created", "run.succeeded"))


def steps(count: int) -> list[StepStarted | StepFinished]:
    return [
        event
        for number in range(count)
        for event in (
            StepStarted(key=f"s{number:03}", name="s"),
            StepFinished(key=f"s{number:03}", name="s", started_at=NOW, output=doc(number)),
        )
    ]


async def a_run_with(store: Store, *events, at: int = NOW, **fields) -> Run:
    """Ended at `at`, with these events in its log."""
    run = await record(store, await a_running_run(store, at, **fields), *events, at=at)
    return await do(store, run, Succeed(output=doc("done")), at)


async def claimed(store: Store, run: Run) -> Run:
    return await do(store, run, Claim(worker="w"))


async def is_pruned(store: Store, run: Run) -> bool:
    """As whoever reads it from its beginning is told, and whoever goes on from its middle."""
    told = []
    for after, limit in ((0, 1), (0, 1_000), (run.last_seq - 1, 10)):
        try:
            await store.events.read(run.id, after, limit)
            told.append(False)
        except LogPruned:
            told.append(True)
    assert len(set(told)) == 1
    return told[0]


async def drain(prune, before: int, limit: int = 100) -> Pruned:
    runs = rows = 0
    while (done := await prune(before, limit)) != DONE:
        assert done.rows <= limit, "never more in one transaction"
        assert done.runs <= limit
        runs, rows = runs + done.runs, rows + done.rows
    return Pruned(runs, rows)


async def test_logs_of_runs_that_ended_before_are_pruned_and_the_runs_stay(store: Store) -> None:
    thread = an_id()
    said = NewMessage(Role.USER, doc("hello"))
    old = (await add(store, NOW, thread_id=thread, message=said, callbacks=(TOLD,))).run
    old = await do(store, await record(store, await claimed(store, old), *steps(1)), Succeed(output=doc(1)))
    young = await a_succeeded_run(store, NOW + 1)
    alive = [await a_queued_run(store), await a_running_run(store), await a_waiting_run(store)]
    await store.runs.get(old.id)

    assert await store.runs.prune_logs(NOW + 1, 100) == Pruned(1, old.last_seq)
    assert await store.runs.prune_logs(NOW + 1, 100) == DONE
    assert await is_pruned(store, old)
    assert await store.runs.get(old.id, OWNER) == old, "the run itself is as it was"
    (step,) = await store.steps.of(old.id)
    assert (step.key, step.status, step.output) == ("s000", StepStatus.FINISHED, None)
    assert [each.run_id for each in await store.threads.messages(thread, limit=10)] == [old.id]
    assert len(await store.deliveries.of(old.id)) == 2
    for other in (young, *alive):
        assert len(await log_of(store, other)) == other.last_seq


async def test_a_long_log_goes_in_slices_and_reads_as_pruned_from_the_first(store: Store) -> None:
    long = await a_run_with(store, *(TextDelta(text="word") for _ in range(50)))
    short = await a_run_with(store, at=NOW + 1)
    assert await store.runs.prune_logs(NOW + 1, 20) == Pruned(0, 20)
    assert await is_pruned(store, long)
    # The setting may be changed, or the process die: what was begun is brought to its end.
    assert await drain(store.runs.prune_logs, 0, 20) == Pruned(1, long.last_seq - 20)
    assert await is_pruned(store, long)
    assert not await is_pruned(store, short)
    assert await store.runs.forget(NOW + 1, 20) == Pruned(1, 0)


async def test_many_short_logs_go_together_and_none_in_part(store: Store) -> None:
    runs = [await a_run_with(store, at=NOW + number) for number in range(5)]
    length = runs[0].last_seq
    assert await store.runs.prune_logs(NOW + 5, 2 * length + 1) == Pruned(2, 2 * length)
    assert [await is_pruned(store, run) for run in runs] == [True, True, False, False, False]
    assert await drain(store.runs.prune_logs, NOW + 5, length) == Pruned(3, 3 * length)


async def test_a_run_is_forgotten_with_its_steps_and_what_others_have_of_it_stays(store: Store) -> None:
    thread = an_id()
    said = NewMessage(Role.USER, doc("hello"))
    key = Idempotency("native", "k", b"f")
    old = (await add(store, thread_id=thread, message=said, callbacks=(TOLD,), idempotency=key)).run
    old = await do(store, await record(store, await claimed(store, old), *steps(2)), Succeed(output=doc(1)))
    await store.deliveries.render((await store.deliveries.of(old.id))[0].id, b"told")
    young = await a_succeeded_run(store, NOW + 1)
    assert await store.runs.forget(NOW + 1, 100) == DONE, "its log is there"
    await store.runs.get(old.id)

    await store.runs.prune_logs(NOW + 2, 100)
    assert await store.runs.forget(NOW + 1, 100) == Pruned(1, 2)
    assert await store.runs.forget(NOW + 1, 100) == DONE
    with pytest.raises(RunNotFound):
        await store.runs.get(old.id)
    assert await store.events.read(old.id, 0, 10) == []
    assert await store.steps.of(old.id) == []
    assert [run.id for run in await page(store)] == [young.id]
    assert [each.run_id for each in await store.threads.messages(thread, limit=10)] == [old.id]
    assert [each.body for each in await store.deliveries.of(old.id)] == [b"told", None]
    assert not (await add(store, NOW + 3, idempotency=key)).replayed, "the key is free, as after a delete"


async def page(store: Store) -> list[Run]:
    return await store.runs.page(OWNER, RunFilter(), before=None, after=None, limit=10)


async def test_many_steps_go_in_slices_and_none_are_shown_from_the_first(store: Store) -> None:
    old = await a_run_with(store, *steps(5))
    other = await a_run_with(store, *steps(1), at=NOW + 1)
    await drain(store.runs.prune_logs, NOW + 2)
    assert await store.runs.forget(NOW + 2, 3) == Pruned(0, 3)
    assert await store.steps.of(old.id) == []
    assert (await store.runs.get(old.id)).status is RunStatus.SUCCEEDED
    assert len(await store.steps.of(other.id)) == 1
    assert await drain(store.runs.forget, 0, 3) == Pruned(1, 2)
    assert [run.id for run in await page(store)] == [other.id]


async def test_a_run_made_after_a_forgotten_one_has_a_log_of_its_own(store: Store) -> None:
    old = await a_run_with(store, *steps(3))
    await drain(store.runs.prune_logs, NOW + 1, 4)
    await drain(store.runs.forget, NOW + 1, 2)
    new = await a_run_with(store, *steps(1), at=NOW + 1)
    assert new.id != old.id
    assert len(await log_of(store, new)) == new.last_seq
    assert [step.output for step in await store.steps.of(new.id)] == [doc(0)]


async def test_what_is_huge_is_removed_alone(store: Store) -> None:
    huge = TextDelta(text="x" * 5_000_000)
    runs = [await a_run_with(store, huge, at=NOW + number) for number in range(2)]
    assert await drain(store.runs.prune_logs, NOW + 2) == Pruned(2, sum(run.last_seq for run in runs))
    assert await drain(store.runs.forget, NOW + 2) == Pruned(2, 0)

"""A loop that hears every commit keeps the runs it has read, and is never behind what it was told."""

from pathlib import Path

import pytest

from runwell.domain.commands import Claim, Succeed
from runwell.domain.errors import RunNotFound
from runwell.domain.instant import SECOND
from runwell.domain.run import RunStatus
from runwell.ports.store import Idempotency
from runwell.store.signals import LocalSignals
from runwell.store.sqlite import Database
from runwell.store.sqlite.kept import LARGEST_KEPT
from tests.support.runs import NOW, OWNER, WORKER, a_queued_run, a_store, add, do, doc, say

CLAIM = Claim(worker=WORKER)


async def test_what_is_kept_is_what_was_committed_last(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "runs.db", durability="off")
    one, other = (database.store(LocalSignals().publish) for _ in range(2))
    run = await a_queued_run(one)
    assert await one.runs.get(run.id) is await one.runs.get(run.id), "nothing is read twice"
    for step in (CLAIM, Succeed(output=doc("x"))):
        before = await one.runs.get(run.id)
        changed = await do(one, before, step)
        assert await one.runs.get(run.id) == changed
    # A commit through another store of the same file is heard as well.
    second = await a_queued_run(other)
    assert (await one.runs.get(second.id)).status is RunStatus.QUEUED
    heard = LocalSignals()
    third = database.store(heard.publish)
    with heard.watch(second.id) as watch:
        await do(other, second, CLAIM)
        assert await watch.wait(10)
        assert (await third.runs.get(second.id)).status is RunStatus.RUNNING
    for store in (one, other, third):
        await store.close()
    database.close()


async def test_text_is_news_too_and_a_deleted_run_is_gone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "runs.db", durability="off")
    store = database.store(LocalSignals().publish)
    run = await do(store, await a_queued_run(store), CLAIM)
    await store.runs.get(run.id)
    said = await say(store, run, "word")
    assert (await store.runs.get(run.id)).last_seq == said.last_seq
    ended = await do(store, said, Succeed(output=doc("x")))
    await store.runs.get(ended.id)
    with pytest.raises(RunNotFound):
        await store.runs.get(ended.id, "somebody else")
    await store.runs.delete(ended.id, OWNER)
    with pytest.raises(RunNotFound):
        await store.runs.get(ended.id)
    await store.close()
    database.close()


async def test_a_store_that_hears_nothing_and_a_large_output_keep_nothing(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "runs.db", durability="off")
    deaf, hearing = database.store(), database.store(LocalSignals().publish)
    run = await a_queued_run(deaf)
    assert await deaf.runs.get(run.id) is not await deaf.runs.get(run.id)
    large = await do(hearing, run, CLAIM)
    large = await do(hearing, large, Succeed(output=doc("x" * LARGEST_KEPT)))
    assert await hearing.runs.get(large.id) is not await hearing.runs.get(large.id)
    await deaf.close()
    await hearing.close()
    database.close()


async def test_a_submit_that_is_repeated_later_does_not_change_how_the_run_began(tmp_path: Path) -> None:
    named = Idempotency("scope", "key", b"same")
    async with a_store(tmp_path / "runs.db", hears=True, durability="off") as store:
        run = (await add(store, idempotency=named, expires_at=NOW + 60 * SECOND)).run
        (first,) = await store.events.read(run.id, 0, 2)
        later = NOW + 30 * SECOND
        again = await add(store, later, idempotency=named, expires_at=later + 60 * SECOND)
        assert (again.replayed, again.run.id) == (True, run.id)
        assert await store.events.read(run.id, 0, 1) == [first]

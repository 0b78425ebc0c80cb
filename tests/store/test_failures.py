"""What happens when the disk fails: nothing is promised that was not kept, and nobody restarts anything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import pytest

from runwell.domain.commands import Claim, HandBack
from runwell.domain.errors import StaleRun, StoreUnavailable
from runwell.domain.instant import SECOND
from runwell.ports.store import Store
from runwell.store.sqlite import Database
from tests.support.failing_disk import FailingDisk
from tests.support.runs import (
    NOW,
    OWNER,
    WORKER,
    a_queued_run,
    a_running_run,
    a_store,
    add,
    an_id,
    do,
    doc,
    log_of,
    say,
)

FAULTS = ["full", "broken"]


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    disk = FailingDisk(f"failing-{uuid4().hex}")
    yield disk
    disk.unregister()


@pytest.fixture
def path(fast_folder: Path) -> Path:
    return fast_folder / "runs.db"


@pytest.fixture
async def store(disk: FailingDisk, path: Path) -> AsyncIterator[Store]:
    async with a_store(path, vfs=disk.name) as store:
        yield store


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_write_that_fails_says_why_and_has_not_happened(store, disk, fault) -> None:
    run = await a_running_run(store)
    with disk.being(**{fault: True}):
        with pytest.raises(StoreUnavailable) as refused:
            await say(store, run)
        assert refused.value.hint
        assert refused.value.retry_after > 0
        assert await store.runs.get(run.id) == run, "reading goes on"
        with pytest.raises(StoreUnavailable):
            await add(store)
        with pytest.raises(StoreUnavailable):
            await store.check()
    assert await store.runs.get(run.id) == run
    assert len(await log_of(store, run)) == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_store_recovers_by_itself(store, disk, fault) -> None:
    run = await say(store, await a_running_run(store))
    with disk.being(**{fault: True}):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await say(store, run, "lost")
    run = await say(store, run, "kept")
    await store.check()
    log = await store.events.read(run.id, 0, 100)
    assert [line.seq for line in log] == [1, 2, 3, 4]
    assert b"kept" in log[-1].data


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_a_failure_the_file_holds_what_was_acknowledged_and_nothing_else(
    disk, path, fault
) -> None:
    acknowledged = []
    async with a_store(path, vfs=disk.name) as store:
        for _ in range(3):
            acknowledged.append(await say(store, await a_running_run(store)))
            with disk.being(**{fault: True}):
                results = await asyncio.gather(*(add(store) for _ in range(5)), return_exceptions=True)
                assert all(isinstance(result, StoreUnavailable) for result in results)
            acknowledged.append(await a_queued_run(store))
    async with a_store(path) as store:
        kept = await store.runs.every(None, 100)
        assert sorted(kept, key=id_of) == sorted(acknowledged, key=id_of)
        for run in kept:
            assert [line.seq for line in await store.events.read(run.id, 0, 9)] == list(
                range(1, run.last_seq + 1)
            )


def id_of(run):
    return run.id


@pytest.mark.parametrize("fault", FAULTS)
async def test_even_a_refusal_is_taken_back_when_the_batch_is_lost(store, disk, fault) -> None:
    run = await a_queued_run(store)
    with disk.being(**{fault: True}):
        results = await asyncio.gather(
            do(store, run, Claim(worker="a")), do(store, run, Claim(worker="b")), return_exceptions=True
        )
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert (await do(store, run, Claim(worker=WORKER))).attempt == 1


async def test_a_big_write_on_a_full_disk_leaves_small_ones_possible(store, disk) -> None:
    run = await a_running_run(store)
    with disk.being(full=True), pytest.raises(StoreUnavailable):
        await say(store, run, "x" * 3_000_000)
    assert (await say(store, run, "small")).last_seq == 3


async def test_reading_from_a_failing_disk_says_so_and_recovers(path, disk) -> None:
    async with a_store(path, vfs=disk.name) as store:
        run = await a_running_run(store, metadata=doc("m" * 50_000))
    async with a_store(path, vfs=disk.name) as store:
        with disk.being(unreadable=True), pytest.raises(StoreUnavailable):
            await store.runs.get(run.id)
        assert await store.runs.get(run.id) == run
        with disk.being(unreadable=True), pytest.raises(StoreUnavailable):
            await store.runs.claimable(NOW, agents=frozenset("a"), limit=1, exclude=frozenset())
        assert await store.runs.held() == [run]


async def test_a_file_that_is_locked_by_another_writer_is_waited_for_then_refused(path, monkeypatch) -> None:
    monkeypatch.setattr("runwell.store.sqlite.connections.BUSY_TIMEOUT_MS", 1)
    async with a_store(path) as store:
        run = await a_queued_run(store)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="lock"):
            await add(store)
        other.execute("ROLLBACK")
        other.close()
        assert (await do(store, run, Claim(worker=WORKER))).attempt == 1


async def test_what_another_process_writes_is_seen_before_the_next_change(path) -> None:
    async with a_store(path) as store:
        run = await a_running_run(store)
        other = apsw.Connection(str(path))
        other.execute("UPDATE runs SET version = version + 5")
        other.close()
        fresh = await store.runs.get(run.id)
        assert fresh.version == run.version + 5
        with pytest.raises(StaleRun):
            await do(store, run, HandBack())
        assert (await do(store, fresh, HandBack())).version == fresh.version + 1


async def test_a_closed_store_refuses_and_has_written_what_was_handed_in(path) -> None:
    database = Database.open(path)
    store = database.store()
    adding = [asyncio.ensure_future(add(store)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    added = await asyncio.gather(*adding)
    with pytest.raises(StoreUnavailable):
        await add(store)
    await store.close()
    async with a_store(path) as again:
        assert {run.id for run in await again.runs.every(None, 100)} == {one.run.id for one in added}


async def test_a_cancelled_caller_does_not_disturb_the_batch(store) -> None:
    run = await a_running_run(store)
    leaving, staying = asyncio.ensure_future(add(store)), asyncio.ensure_future(say(store, run))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).last_seq == 3
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await store.check()


async def test_a_fault_of_ours_harms_only_its_own_job(store) -> None:
    taken = an_id()
    await add(store, id=taken)
    run = await a_running_run(store)
    results: Any = await asyncio.gather(
        say(store, run),
        add(store, id=taken),
        add(store, thread_id=an_id()),
        add(store, id=taken),
        a_running_run(store),
        return_exceptions=True,
    )
    assert [isinstance(result, apsw.ConstraintError) for result in results] == [
        False, True, False, True, False,
    ]  # fmt: skip
    assert results[0].last_seq == 3
    assert (await store.runs.get(results[2].run.id, OWNER)).last_seq == 1
    assert (await say(store, results[4])).last_seq == 3
    assert len(await log_of(store, run)) == 3


async def test_a_row_that_cannot_be_read_hides_no_other(tmp_path: Path, caplog) -> None:
    path = tmp_path / "runs.db"
    async with a_store(path, durability="off") as store:
        bad = [await a_running_run(store, NOW + number * SECOND) for number in range(3)]
        bad.append(await a_queued_run(store, NOW + 4 * SECOND, expires_at=NOW + 5 * SECOND))
        good = await a_running_run(store, NOW + 7 * SECOND)
        waits = await a_queued_run(store, NOW + 8 * SECOND, expires_at=NOW + 9 * SECOND)
        with contextlib.closing(apsw.Connection(str(path))) as other:
            for run in bad:
                other.execute("UPDATE runs SET usage = ? WHERE id = ?", (b"{nan", bytes.fromhex(run.id)))
        for _ in range(2):
            assert await store.runs.held() == [good]
            assert await store.runs.expired(NOW + 99 * SECOND, 10) == [waits]
            assert await store.runs.every(None, 2) == [good, waits]
    told = [record for record in caplog.records if "cannot be read" in record.message]
    assert len(told) == len(bad)

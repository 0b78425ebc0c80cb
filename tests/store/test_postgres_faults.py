"""What happens when connections die: nothing is promised that was not kept, and nobody restarts anything."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from runwell.domain.commands import Claim, Succeed
from runwell.domain.errors import StoreUnavailable
from runwell.domain.run import RunStatus
from runwell.ports.signals import SignalKind
from runwell.ports.store import Store
from runwell.store.postgres import Database, pool
from tests.support.postgres import LONG, OURS, Way, a_postgres_store, a_session, a_way, kill, until
from tests.support.runs import (
    NOW,
    WORKER,
    a_queued_run,
    a_running_run,
    a_succeeded_run,
    add,
    an_id,
    do,
    doc,
    log_of,
    say,
    startable,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
async def way(postgres: str) -> AsyncIterator[Way]:
    async with a_way(postgres) as way:
        yield way


@pytest.fixture
async def store(way: Way) -> AsyncIterator[Store]:
    async with a_postgres_store(way.url) as store:
        yield store


async def count(url: str, sql: str) -> int:
    async with a_session(url) as session:
        return int(await session.fetchval(sql))


async def test_a_connection_killed_in_the_middle_of_a_change_leaves_nothing_of_it(postgres: str) -> None:
    killed: list[int] = []

    async def enlist(connection: Any, offers: Sequence[Any]) -> None:
        if not killed:
            killed.append(connection.get_server_pid())
            await kill(postgres, killed[0])

    database = await Database.open(postgres)
    heard: list[Any] = []
    store = database.store(lambda kind, run_id: heard.append(kind), enlist)
    thread = an_id()
    with pytest.raises(StoreUnavailable) as refused:
        await add(store, thread_id=thread)
    assert refused.value.hint
    assert killed
    assert heard == []
    assert await store.runs.every(None, 10) == []
    assert await store.threads.owner(thread) is None
    assert await count(postgres, "SELECT count(*) FROM events") == 0
    run = (await add(store, thread_id=thread)).run
    assert heard == [SignalKind.CHANGED, SignalKind.QUEUED]
    assert await store.runs.get(run.id) == run
    await database.close()


async def test_a_commit_killed_half_way_is_done_again_as_if_nothing_had_been(postgres: str) -> None:
    killed: list[int] = []

    async def enlist(connection: Any, offers: Sequence[Any]) -> None:
        if len(killed) < 2:
            killed.append(connection.get_server_pid())
            await kill(postgres, killed[-1])

    async with a_postgres_store(postgres) as plain:
        thread = an_id()
        first = await a_running_run(plain, thread_id=thread, in_order=True)
        second = await a_queued_run(plain, thread_id=thread, in_order=True)
        database = await Database.open(postgres)
        store = database.store(enlist=enlist)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await do(store, first, Succeed(output=doc(1)))
            assert await plain.runs.get(first.id) == first
            assert [line.seq for line in await plain.events.read(first.id, 0, 9)] == [1, 2]
            assert await startable(plain) == []
        ended = await do(store, first, Succeed(output=doc(1)))
        assert (ended.version, ended.last_seq) == (first.version + 1, 3)
        assert await startable(plain) == [second.id]
        await database.close()


async def test_connections_that_died_idle_are_replaced_without_a_word(store: Store, postgres: str) -> None:
    run = await a_running_run(store)
    for _ in range(3):
        await asyncio.gather(*(store.runs.get(run.id) for _ in range(10)))
        await kill(postgres)
        run = await say(store, run)
        await kill(postgres)
        assert await store.runs.get(run.id) == run
    assert [line.seq for line in await store.events.read(run.id, 0, 9)] == [1, 2, 3, 4, 5]


async def test_a_connection_that_dies_as_it_is_used_costs_nobody_an_answer(store: Store, way: Way) -> None:
    run = await a_running_run(store)
    way.loses = "next"
    assert await store.runs.get(run.id) == run
    way.loses = "next"
    assert (await say(store, run)).last_seq == 3, "nothing had begun"
    assert way.loses is None


async def test_without_a_way_to_the_server_everything_is_refused_and_then_goes_on(
    store: Store, way: Way
) -> None:
    run = await a_running_run(store)
    way.cut()
    for ask in (say(store, run), store.runs.get(run.id), add(store), store.check(), startable(store)):
        with pytest.raises(StoreUnavailable) as refused:
            await ask
        assert refused.value.hint
        assert refused.value.retry_after > 0
    await way.open()
    assert await store.runs.get(run.id) == run
    assert (await say(store, run)).last_seq == 3
    await store.check()


async def test_a_commit_whose_answer_is_lost_is_acknowledged_when_it_was_made(store: Store, way: Way) -> None:
    run = await a_running_run(store)
    way.loses = "answer"
    said = await say(store, run, "kept")
    assert way.loses is None
    assert said.last_seq == 3
    assert [b"kept" in line.data for line in await store.events.read(run.id, 2, 9)] == [True]
    assert await store.runs.get(run.id) == said


async def test_a_commit_that_was_lost_on_its_way_is_refused_and_has_not_happened(
    store: Store, way: Way
) -> None:
    run = await a_running_run(store)
    way.loses = "commit"
    with pytest.raises(StoreUnavailable):
        await say(store, run, "lost")
    assert way.loses is None
    assert await store.runs.get(run.id) == run
    assert len(await log_of(store, run)) == 2
    assert (await say(store, run, "kept")).last_seq == 3


async def test_when_nobody_can_tell_whether_it_was_written_that_is_what_is_said(
    store: Store, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "DOUBT", 0.05)
    run = await a_running_run(store)
    way.loses, way.shuts = "answer", True
    with pytest.raises(StoreUnavailable, match="may have been written") as refused:
        await say(store, run)
    assert "Look before you repeat" in refused.value.hint
    way.shuts = False
    await way.open()
    assert (await store.runs.get(run.id)).last_seq == 3


async def test_a_process_that_stands_still_in_a_transaction_keeps_nobody_from_the_run(postgres: str) -> None:
    gone: list[int] = []

    async def enlist(connection: Any, offers: Sequence[Any]) -> None:
        pid = connection.get_server_pid()
        await until(postgres, f"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = {pid}")
        gone.append(pid)

    async with a_postgres_store(postgres) as other:
        run = await a_running_run(other, concurrency_key="k")
        await a_queued_run(other, concurrency_key="k")
        database = await Database.open(postgres, idle_limit=0.1)
        stuck = database.store(enlist=enlist)
        with pytest.raises(StoreUnavailable):
            await do(stuck, run, Succeed(output=doc("late")))
        assert gone
        assert (await do(other, run, Succeed(output=doc("mine")))).output == doc("mine")
        await database.close()


async def test_a_caller_who_gives_up_leaves_no_connection_behind(postgres: str) -> None:
    async with a_postgres_store(postgres, connections=1) as store, a_session(postgres) as other:
        run = await a_running_run(store)
        await other.execute("BEGIN")
        await other.execute("SELECT 1 FROM runs FOR UPDATE")
        saying = asyncio.ensure_future(say(store, run))
        await until(postgres, f"SELECT count(*) > 0 FROM {OURS} AND wait_event_type = 'Lock'")
        saying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saying
        await other.execute("ROLLBACK")
        assert await store.runs.get(run.id) == run
        assert (await say(store, run)).last_seq == 3


async def test_the_pool_is_bounded_and_everybody_gets_a_turn(postgres: str) -> None:
    async with a_postgres_store(postgres, connections=2) as store:
        runs = await asyncio.gather(*(a_succeeded_run(store) for _ in range(40)))
        assert all(run.status is RunStatus.SUCCEEDED for run in runs)
        assert await count(postgres, f"SELECT count(*) FROM {OURS}") <= 2


async def test_a_crowd_that_wants_one_run_leaves_room_for_others(postgres: str) -> None:
    async with a_postgres_store(postgres, connections=2) as store, a_session(postgres) as other:
        wanted, free = await a_running_run(store), await a_running_run(store)
        await other.execute("BEGIN")
        await other.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", bytes.fromhex(wanted.id))
        crowd = [asyncio.ensure_future(say(store, wanted)) for _ in range(10)]
        await until(postgres, f"SELECT count(*) > 0 FROM {OURS} AND wait_event_type = 'Lock'")
        assert (await say(store, free)).last_seq == 3
        await other.execute("COMMIT")
        said = await asyncio.gather(*crowd)
        assert [run.last_seq for run in said] == list(range(3, 13))


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("postgresql://who:s3cret@127.0.0.1:1/nowhere", "reached"),
        ("postgresql://who:s3cret@nowhere.invalid/x", "reached"),
        ("postgresql://who:s3cret@127.0.0.1:port/x", "port"),
    ],
)
async def test_a_database_that_cannot_be_reached_is_refused_without_its_password(
    url: str, cause: str
) -> None:
    with pytest.raises(StoreUnavailable, match=cause) as refused:
        await Database.open(url)
    assert refused.value.hint
    assert "s3cret" not in refused.value.message + refused.value.hint


async def test_a_database_that_is_not_there_is_named(way: Way) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist") as refused:
        await Database.open(way.url.replace("/runwell_test_", "/not_made_"))
    assert "Create it" in refused.value.hint


async def test_after_closing_everything_is_refused(postgres: str) -> None:
    database = await Database.open(postgres)
    store = database.store()
    run = await a_queued_run(store)
    await database.close()
    for ask in (store.runs.get(run.id), do(store, run, Claim(worker=WORKER)), store.check()):
        with pytest.raises(StoreUnavailable):
            await ask


async def test_bad_values_are_no_fault_of_the_database(postgres: str) -> None:
    async with a_postgres_store(postgres) as store:
        with pytest.raises(Exception, match="int64") as refused:
            await add(store, NOW, priority=2**70)
        assert not isinstance(refused.value, StoreUnavailable)
        assert (await a_queued_run(store)).last_seq == 1


async def test_undoing_waits_for_nobody_who_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ROLL_BACK", 0.01)

    class CutOff:
        given_up = False

        def is_closed(self) -> bool:
            return False

        async def execute(self, sql: str) -> None:
            await asyncio.Event().wait()

        def terminate(self) -> None:
            self.given_up = True

    connection = CutOff()
    async with asyncio.timeout(LONG):
        await pool._roll_back(connection)
    assert connection.given_up


@pytest.mark.parametrize("rest", ["secr/et@h/d", "secr#et@h/d", "secr?et@h/d", "x@h:secret/d"])
async def test_an_address_that_cannot_be_understood_is_not_quoted(rest: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        await Database.open(f"postgresql://u:{rest}")
    assert "secr" not in f"{refused.value.message} {refused.value.hint}"
    assert "et@" not in f"{refused.value.message} {refused.value.hint}"

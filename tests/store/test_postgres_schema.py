"""The schema on PostgreSQL: brought up to date by one of many, refused when it is newer or not ours."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.domain.events import EVENT_TYPES
from runwell.domain.json_gate import Json
from runwell.domain.run import RunStatus
from runwell.ports.store import RunFilter
from runwell.store.postgres import Database, events, paging, queue, rows, runs, together
from runwell.store.postgres import migrations as migrating
from runwell.store.postgres.migrations import migrate, postgres_migrations, schema_of
from runwell.store.scripts import Step
from runwell.store.sqlite.migrations import migrations
from tests.support.postgres import a_database, a_postgres_store, a_session
from tests.support.runs import NOW, a_queued_run, add, an_id

pytestmark = pytest.mark.postgres

NEWEST = postgres_migrations()[-1].number


@pytest.fixture
async def fresh(postgres_server: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    with a_database(postgres_server) as url:
        yield url


def test_both_backends_have_the_same_numbers() -> None:
    assert [step.name for step in postgres_migrations()] == [step.name for step in migrations()]


def test_every_event_type_can_be_stored() -> None:
    assert set(rows.EVENT_TYPES_BY_KIND.values()) == {event.type for event in EVENT_TYPES}


async def test_many_processes_that_start_at_once_migrate_once(fresh: str) -> None:
    opened = await asyncio.gather(*(Database.open(fresh) for _ in range(6)))
    run = await a_queued_run(opened[0].store())
    assert await opened[5].store().runs.get(run.id) == run
    async with a_session(fresh) as session:
        needed = await session.fetch("SELECT number FROM runwell_schema ORDER BY number")
        added = await session.fetch("SELECT number FROM runwell_additions ORDER BY number")
    assert [number for (number,) in [*needed, *added]] == list(range(1, NEWEST + 1))
    for database in opened:
        await database.close()


async def test_who_is_only_starting_is_no_server_at_work(fresh: str, monkeypatch) -> None:
    looking, go_on = asyncio.Event(), asyncio.Event()
    look = migrating.missing

    async def slowly(*args: Any) -> Any:
        looking.set()
        await go_on.wait()
        return await look(*args)

    monkeypatch.setattr(migrating, "missing", slowly)
    starting = asyncio.create_task(Database.open(fresh))
    await looking.wait()
    async with a_session(fresh) as session:
        names = await session.fetch(
            "SELECT application_name FROM pg_stat_activity "
            "WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    assert [name for (name,) in names] == [migrating.MIGRATING]
    go_on.set()
    await (await starting).close()


async def test_a_script_that_fails_leaves_what_was_finished_before_it(fresh: str) -> None:
    good = postgres_migrations()
    script = "CREATE TABLE half (a int); SELECT 1 / 0;"
    bad = good[0]._replace(number=NEWEST + 1, name="0099_bad", script=script)
    async with a_session(fresh) as session:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(session, [*good, bad])
        assert (await schema_of(session)).number == NEWEST
        assert await session.fetchval("SELECT to_regclass('half')") is None
        mended = bad._replace(script="CREATE TABLE half (a int)")
        assert await migrate(session, [*good, mended]) == [Step("0099_bad", safe=True)]
        assert await migrate(session, [*good, mended]) == []


async def test_a_newer_schema_is_refused(fresh: str) -> None:
    await (await Database.open(fresh)).close()
    async with a_session(fresh) as session:
        await session.execute("INSERT INTO runwell_schema (number, name) VALUES (99, 'later')")
    with pytest.raises(StoreUnavailable, match="newer Runwell") as refused:
        await Database.open(fresh)
    assert "Upgrade" in refused.value.hint


async def test_another_programs_tables_are_left_alone(fresh: str) -> None:
    async with a_session(fresh) as session:
        await session.execute("CREATE TABLE runs (theirs text)")
        with pytest.raises(StoreUnavailable, match="another program"):
            await Database.open(fresh)
        assert await session.fetchval("SELECT to_regclass('runwell_schema')") is None
        assert await session.fetchval("SELECT to_regclass('events')") is None


async def test_json_and_words_come_back_byte_for_byte(postgres: str) -> None:
    metadata = b'{"b":1,"a":[1.50,"\\u00fc",null],"b":2}'
    async with a_postgres_store(postgres) as store:
        run = (await add(store, metadata=Json(metadata))).run
        assert bytes((await store.runs.get(run.id)).metadata) == metadata


HOT: dict[str, tuple[str, list[Any]]] = {
    "get": (runs._GET_OWNED, [b"", "o"]),
    "get many": (runs._GET_MANY, [[b""], ["o"]]),
    "events": (events._READ, [b"", 0, 10]),
    "events of many": (events._READ_MANY, [[b""], [0], [10]]),
    "locked together": (together._LOCK, [[b""]]),
    "claimable": (queue._CLAIMABLE, [NOW, ["a"], ["a"], [], [], 10]),
    "position": (queue._POSITION, [[b""]]),
    "next due": (queue._NEXT_DUE, [NOW]),
    "queued": (queue._OWNERS_QUEUED, ["o", 10]),
    "expired": (runs._EXPIRED, [NOW, 10]),
    "page": paging.page_query("o", RunFilter(), None, None, 20),
    "page after": paging.page_query("o", RunFilter(agent="a"), None, an_id(), 20),
    "page of a thread": paging.page_query("o", RunFilter(thread_id=an_id()), None, None, 20),
    "page of a label": paging.page_query("o", RunFilter(label="l"), an_id(), None, 20),
    "count": paging.count_query("o", RunFilter(statuses=frozenset({RunStatus.QUEUED}))),
}


@pytest.mark.parametrize("name", HOT)
async def test_hot_statements_can_do_with_indexes_alone(postgres: str, name: str) -> None:
    sql, values = HOT[name]
    async with a_session(postgres) as session:
        # Tables are empty here: without this the planner would rightly not bother.
        await session.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in await session.fetch(f"EXPLAIN {sql}", *values))
    assert "Index" in plan
    assert not re.search(r"Seq Scan on (runs|events)", plan), plan

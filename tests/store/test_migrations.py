"""Migrations only grow, and a newer schema that only adds is no reason to refuse a database."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from runwell.domain.errors import StoreUnavailable
from runwell.store.postgres import Database as Postgres
from runwell.store.postgres.migrations import Patience, migrate, postgres_migrations, schema_of
from runwell.store.scripts import BREAKS, Migration, Schema, Step, statements
from runwell.store.sqlite import Database
from runwell.store.sqlite import migrations as sqlite
from runwell.store.upgrading import Extra, outlook, upgrade
from tests.support.postgres import a_database, a_postgres_store, a_session, until
from tests.support.runs import a_queued_run, a_store

GOOD = sqlite.migrations()
NEWEST = len(GOOD)
LATER = Migration(NEWEST + 1, f"{NEWEST + 1:04}_later", "ALTER TABLE runs ADD COLUMN later integer;")
BREAKING = LATER._replace(script=f"{BREAKS}\n{LATER.script}")

HISTORIC = {("0002_callbacks_and_dialects", "ALTER TABLE agents ADD COLUMN id bytea NOT NULL")}
"""From before there was a PostgreSQL database that held anything."""

NEW = re.compile(r"CREATE (?:VIRTUAL )?TABLE (?:IF NOT EXISTS )?(\w+)")
ADDING = (
    re.compile(r"CREATE (?:VIRTUAL )?TABLE\b|CREATE INDEX\b|CREATE (?:OR REPLACE )?(?:TRIGGER|FUNCTION)\b"),
    re.compile(r"CREATE (?:EXTENSION|VIEW)\b|INSERT INTO\b|UPDATE\b|SELECT\b"),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN (?!.*\b(?:UNIQUE|PRIMARY KEY|CHECK|REFERENCES)\b)(?!.*NOT NULL)"),
    re.compile(r"ALTER TABLE \w+ ADD COLUMN .*NOT NULL DEFAULT\b"),
)


def destructive(step: Migration) -> list[str]:
    """The statements that an older program might not survive."""
    mine = set(NEW.findall(step.script))
    found = []
    for statement in statements(step.script):
        unique = re.match(r"CREATE UNIQUE INDEX \w+ ON (\w+)", statement)
        adds = unique[1] in mine if unique else any(form.match(statement) for form in ADDING)
        if not adds and (step.name, statement) not in HISTORIC:
            found.append(statement)
    return found


@pytest.mark.parametrize("step", [*GOOD, *postgres_migrations()], ids=lambda step: step.name)
def test_every_script_only_adds_or_says_that_it_breaks(step: Migration) -> None:
    assert not destructive(step) or step.script.startswith(BREAKS)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE runs",
        "ALTER TABLE runs DROP COLUMN output",
        "ALTER TABLE runs RENAME COLUMN output TO result",
        "ALTER TABLE runs ALTER COLUMN output TYPE jsonb",
        "ALTER TABLE runs ADD COLUMN later bigint NOT NULL",
        "ALTER TABLE runs ADD COLUMN later bigint UNIQUE",
        "ALTER TABLE runs ADD CONSTRAINT some CHECK (tries > 0)",
        "CREATE UNIQUE INDEX runs_by_label ON runs (label)",
        "DELETE FROM events",
    ],
)
def test_what_older_programs_may_not_survive_is_found(statement: str) -> None:
    harmless = "CREATE TABLE mine (a text NOT NULL); CREATE UNIQUE INDEX mine_a ON mine (a); -- a; b\n"
    harmless += "ALTER TABLE runs ADD COLUMN b integer NOT NULL DEFAULT 0;"
    assert destructive(Migration(9, "0009_x", f"{harmless}{statement};")) == [statement]


def test_a_file_with_later_additions_is_used_and_one_that_changed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    Database.open(path).close()
    db = apsw.Connection(str(path))
    assert sqlite.schema_of(db) == Schema(NEWEST, 3)
    sqlite.migrate(db, [*GOOD, LATER])
    assert sqlite.schema_of(db) == Schema(NEWEST + 1, 3)
    Database.open(path).close()
    breaking = BREAKING._replace(number=NEWEST + 2, script=f"{BREAKS}\nSELECT 1;")
    sqlite.migrate(db, [*GOOD, LATER, breaking])
    assert sqlite.schema_of(db) == Schema(NEWEST + 2, NEWEST + 2)
    with pytest.raises(StoreUnavailable, match="newer Runwell"):
        Database.open(path)
    db.close()


async def test_a_tool_does_not_change_a_file_under_its_server(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    db = apsw.Connection(str(path))
    sqlite.migrate(db, GOOD[:3])
    lock = sqlite_lock(path)
    for attempt in (lambda: Database.open(path, serving=False), lambda: asyncio.run(upgrade(path))):
        with pytest.raises(StoreUnavailable, match="older version is at work") as refused:
            await asyncio.to_thread(attempt)
        assert "Restart" in refused.value.hint
    assert sqlite.schema_of(db) == Schema(3, 3)
    lock.release()
    assert [step.name for step in await upgrade(path)] == [step.name for step in GOOD[3:]]
    db.close()
    async with a_store(path, serving=False) as store:
        assert await store.workers.all() == []


def sqlite_lock(path: Path):
    from runwell.store.sqlite.lock import ServingLock

    return ServingLock(path)


async def test_looking_at_a_file_changes_nothing_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    found = await outlook(path)
    assert (found.schema, found.usable, len(found.steps)) == (Schema(0, 0), True, NEWEST)
    assert not path.exists()
    Database.open(path).close()
    before = path.read_bytes()
    assert await outlook(path) == (Schema(NEWEST, 3), NEWEST, True, ())
    assert path.read_bytes() == before
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(StoreUnavailable, match="no database"):
        await outlook(path)


@pytest.fixture
async def fresh(postgres_server: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    with a_database(postgres_server) as url:
        yield url


@pytest.mark.postgres
async def test_a_database_with_later_additions_is_used_and_one_that_changed_is_not(fresh: str) -> None:
    assert (await outlook(fresh)).steps[0] == Step("0001_initial", safe=False)
    assert len(await upgrade(fresh)) == NEWEST
    assert await outlook(fresh) == (Schema(NEWEST, 3), NEWEST, True, ())
    async with a_session(fresh) as session:
        assert await migrate(session, [*postgres_migrations(), LATER]) == [Step(LATER.name, safe=True)]
        assert await schema_of(session) == Schema(NEWEST + 1, 3)
        async with a_postgres_store(fresh, migrates=False) as store:
            await a_queued_run(store)
        after = BREAKING._replace(number=NEWEST + 2, script=f"{BREAKS}\nSELECT 1;")
        await migrate(session, [*postgres_migrations(), LATER, after])
    assert await outlook(fresh) == (Schema(NEWEST + 2, NEWEST + 2), NEWEST, False, ())
    with pytest.raises(StoreUnavailable, match="newer Runwell"):
        await Postgres.open(fresh)


@pytest.mark.postgres
async def test_what_breaks_older_servers_is_not_run_while_one_is_at_work(fresh: str) -> None:
    async with a_session(fresh) as session:
        async with a_postgres_store(fresh) as store:
            await a_queued_run(store)
            with pytest.raises(StoreUnavailable, match="rely on") as refused:
                await migrate(session, [*postgres_migrations(), BREAKING])
            assert "Stop all servers" in refused.value.hint
            assert (await schema_of(session)).number == NEWEST
        await until(fresh, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'runwell'"
                           " AND datname = current_database()")  # fmt: skip
        assert await migrate(session, [*postgres_migrations(), BREAKING]) == [Step(LATER.name, safe=False)]


@pytest.mark.postgres
async def test_a_process_that_may_not_migrate_says_what_is_missing(fresh: str) -> None:
    with pytest.raises(StoreUnavailable, match="lacks 0001_initial") as refused:
        await Postgres.open(fresh, migrates=False)
    assert "runwell migrate" in refused.value.hint


@pytest.mark.postgres
async def test_a_long_transaction_holds_up_the_migration_and_nobody_else(fresh: str) -> None:
    steps = [*postgres_migrations(), LATER]
    async with a_session(fresh) as reader, a_session(fresh) as session:
        await migrate(session, steps[:-1])
        await reader.execute("BEGIN; LOCK TABLE runs IN ACCESS SHARE MODE")
        with pytest.raises(StoreUnavailable, match=f"process {reader.get_server_pid()}") as refused:
            await migrate(session, steps, Patience(0.02, (0.0,)))
        assert "nothing of it was done" in refused.value.message
        patient = asyncio.create_task(migrate(session, steps, Patience(0.05, (0.0,) * 1000)))
        await until(fresh, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL")
        async with a_postgres_store(fresh) as store:
            # It stands behind the migration, which steps back.
            await a_queued_run(store)
        await reader.execute("ROLLBACK")
        assert await patient == [Step(LATER.name, safe=True)]


@pytest.mark.postgres
async def test_the_tables_of_others_are_looked_at_and_made_too(fresh: str) -> None:
    async def pending(connection) -> list[str]:
        there = await connection.fetchval("SELECT to_regclass('theirs') IS NOT NULL")
        return [] if there else ["CREATE TABLE theirs (a int)"]

    async def prepare(connection) -> list[str]:
        todo = await pending(connection)
        for statement in todo:
            await connection.execute(statement)
        return todo

    extra = Extra("theirs", pending, prepare)
    assert (await outlook(fresh, [extra])).steps[-1] == Step("theirs", safe=True)
    assert (await upgrade(fresh, [extra]))[-1] == Step("theirs", safe=True)
    assert await upgrade(fresh, [extra]) == []
    assert (await outlook(fresh, [extra])).steps == ()


@pytest.mark.postgres
async def test_an_index_on_a_full_table_is_built_beside_commits_and_again_after_a_death(fresh: str) -> None:
    script = "CREATE TABLE mine (a int); CREATE INDEX mine_a ON mine (a); CREATE INDEX late ON runs (tries);"
    step = LATER._replace(script=script)
    index = Step("index late", safe=True)
    async with a_session(fresh) as session, a_session(fresh) as writer:
        await migrate(session, postgres_migrations())
        # A writer in the middle of its commit is waited for, and one that comes later is not held up.
        await writer.execute("BEGIN; UPDATE runs SET tries = 0")
        building = asyncio.create_task(migrate(session, [*postgres_migrations(), step]))
        await until(fresh, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'")
        async with a_postgres_store(fresh) as store:
            await a_queued_run(store)
        await writer.execute("COMMIT")
        assert await building == [Step(step.name, safe=True), index]
        await writer.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'late'::regclass")
        assert await migrate(session, [*postgres_migrations(), step]) == [index]
        assert await migrate(session, [*postgres_migrations(), step]) == []
        assert await session.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'late'::regclass")

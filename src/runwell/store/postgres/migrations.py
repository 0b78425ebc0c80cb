"""Bringing a database's schema up to date, one numbered SQL script after the other.

`runwell_schema` lists the scripts that a program must know to use the database, so that older programs
judge by it too; those that only add are in `runwell_additions`.
"""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from runwell.domain.errors import StoreUnavailable
from runwell.store.postgres.late_indexes import (
    LateIndex,
    build,
    late_indexes,
    unbuilt,
    without_late_indexes,
)
from runwell.store.scripts import Migration, Schema, Step, lacking, scripts

FOLDER = Path(__file__).parent.parent / "migrations" / "postgres"

WHERE = "The database"

LOCK = 0x52554E57
"""`RUNW`: the advisory lock under which schemas are changed."""

MIGRATING = "runwell-migrating"
"""How the database lists whoever changes a schema, or waits to: it relies on none yet."""
LONGEST = 3_600.0
"""Seconds that one script may take, or somebody else's may be waited for."""
LOOK_AGAIN = 0.1
"""Seconds between two looks at whether somebody else's are done."""


class Patience(NamedTuple):
    """How a script waits for a lock, in seconds: `wait` at a time, since whoever comes after it stands
    behind it for as long; then it steps back for the next of `pauses`, and gives up after the last."""

    wait: float
    pauses: tuple[float, ...]


PATIENCE = Patience(2.0, (1.0, 2.0, 4.0, 8.0, 15.0))

_TABLES = """CREATE TABLE IF NOT EXISTS runwell_schema (number bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE IF NOT EXISTS runwell_additions (number bigint PRIMARY KEY, name text NOT NULL)"""
_EXISTS = "SELECT to_regclass($1) IS NOT NULL"
_LAST = "SELECT coalesce(max(number), 0) FROM {table}"
_DONE = "INSERT INTO {table} (number, name) VALUES ($1, $2)"
_OLDEST = """SELECT pid, application_name, state, xact_start FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 1"""
_AT_WORK = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'runwell'"""


def postgres_migrations() -> list[Migration]:
    """All scripts in order. Raises `ValueError` when a number is missing or a name is odd."""
    return scripts(FOLDER)


async def migrate(connection: Any, steps: list[Migration], patience: Patience = PATIENCE) -> list[Step]:
    """Run what is missing, each script in a transaction of its own; what was done.

    Any number of processes may do this at once: one works, the others wait and find nothing to do. If
    this one dies, what it has finished stays, and the next goes on behind it. Raises `StoreUnavailable`
    for a schema that needs a newer program, for tables that are not ours, when a long transaction of
    somebody else stays in the way, and for a script that does not only add, while servers are at work.
    """
    if not await missing(connection, steps):
        return []
    await _lock(connection)
    try:
        return [await _do(connection, task, patience) for task in await missing(connection, steps)]
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def missing(connection: Any, steps: list[Migration]) -> list[Migration | LateIndex]:
    """What `migrate` would do, in order. Raises `StoreUnavailable` when a newer program is needed."""
    schema = await schema_of(connection)
    todo: list[Migration | LateIndex] = list(await unbuilt(connection, steps[: schema.number]))
    for step in lacking(schema, steps, WHERE):
        if schema.number:
            todo += [without_late_indexes(step), *late_indexes(step)]
        else:
            todo.append(step)
    return todo


async def _lock(connection: Any) -> None:
    """The session's, not a transaction's: one that began before it waited may remember that there is no
    table of ours yet. It ends with the connection, whatever way that ends. Nor is it waited for in a
    statement, whose end the building of an index would wait for in turn."""
    await connection.execute(f"SET application_name = '{MIGRATING}'")
    async with asyncio.timeout(LONGEST):
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)


async def _do(connection: Any, task: Migration | LateIndex, patience: Patience) -> Step:
    if isinstance(task, LateIndex):
        try:
            await build(connection, task, LONGEST)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            raise await _in_the_way(connection, f"index {task.name}") from error
        return step_of(task)
    if not task.adds:
        await _see_that_nobody_is_at_work(connection, task)
    await _run(connection, task, patience)
    return step_of(task)


def step_of(task: Migration | LateIndex) -> Step:
    if isinstance(task, LateIndex):
        return Step(f"index {task.name}", True)
    return Step(task.name, task.adds)


async def require(connection: Any, steps: list[Migration]) -> None:
    """Raises `StoreUnavailable` when something is missing."""
    todo = lacking(await schema_of(connection), steps, WHERE)
    if todo:
        raise StoreUnavailable(
            f"The database lacks {', '.join(step.name for step in todo)}", "Run `runwell migrate`."
        )


async def schema_of(connection: Any) -> Schema:
    """What this database has had; zeros for an empty one."""
    needs, added = [
        int(await connection.fetchval(_LAST.format(table=table)))
        if await connection.fetchval(_EXISTS, table)
        else 0
        for table in ("runwell_schema", "runwell_additions")
    ]
    return Schema(max(needs, added), needs)


async def _see_that_nobody_is_at_work(connection: Any, step: Migration) -> None:
    found = await connection.fetchval(_AT_WORK)
    if found and (await schema_of(connection)).number:
        raise StoreUnavailable(
            f"{step.name} changes what older programs rely on, and {found} connections of servers are open",
            "Stop all servers of the older version first, then migrate, then start the new one.",
        )


async def _run(connection: Any, step: Migration, patience: Patience) -> None:
    for pause in (*patience.pauses, None):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {round(patience.wait * 1000)}")
                await _change(connection, step)
            return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if pause is None:
                raise await _in_the_way(connection, step.name) from error
            await asyncio.sleep(pause)


async def _in_the_way(connection: Any, name: str) -> StoreUnavailable:
    holder = "somebody's transaction"
    if oldest := await connection.fetchrow(_OLDEST):
        pid, name, state, since = oldest
        holder = (
            f"a transaction since {since:%H:%M:%S %Z} (process {pid} of PostgreSQL, {name or '-'}, {state})"
        )
    return StoreUnavailable(
        f"{name} cannot be done: {holder} stands in the way; nothing of it was done",
        "Wait for that transaction or end it, then run `runwell migrate` again.",
    )


async def _change(connection: Any, step: Migration) -> None:
    try:
        await connection.execute(_TABLES)
        await connection.execute(step.script, timeout=LONGEST)
    except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError) as error:
        raise StoreUnavailable(
            f"The database holds tables of another program ({error})",
            "Give Runwell a database of its own.",
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreUnavailable(
            f"The schema cannot be changed ({error})",
            "Grant the user of RUNWELL_DB the right to create tables, or migrate as one who has it.",
        ) from error
    table = "runwell_additions" if step.adds else "runwell_schema"
    await connection.execute(_DONE.format(table=table), step.number, step.name)

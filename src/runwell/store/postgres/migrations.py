"""Bringing a database's schema up to date, one numbered SQL script after the other."""

from pathlib import Path
from typing import Any

import asyncpg

from runwell.domain.errors import StoreUnavailable
from runwell.store.sqlite.migrations import Migration, migrations

FOLDER = Path(__file__).parent.parent / "migrations" / "postgres"

LOCK = 0x52554E57
"""`RUNW`: the advisory lock under which schemas are changed."""

LONGEST = 3_600.0
"""Seconds that one script may take, or somebody else's may be waited for."""

_TABLE = """CREATE TABLE IF NOT EXISTS runwell_schema (
    number bigint PRIMARY KEY,
    name text NOT NULL
)"""
_EXISTS = "SELECT to_regclass('runwell_schema') IS NOT NULL"
_VERSION = "SELECT coalesce(max(number), 0) FROM runwell_schema"
_DONE = "INSERT INTO runwell_schema (number, name) VALUES ($1, $2)"


def postgres_migrations() -> list[Migration]:
    """All scripts in order. Raises `ValueError` when a number is missing or a name is odd."""
    return migrations(FOLDER)


async def migrate(connection: Any, steps: list[Migration]) -> int:
    """Run what is missing, each script in a transaction of its own; the number of the newest step.

    Any number of processes may do this at once: one works, the others wait and find nothing to do. If
    this one dies, what it has finished stays, and the next goes on behind it. Raises `StoreUnavailable`
    for a schema that is newer than this program, and for tables that are not ours.
    """
    newest = steps[-1].number
    if await version_of(connection, newest) == newest:
        return newest
    await connection.execute("SET lock_timeout = 0")
    # The session's, not a transaction's: one that began before it waited may remember that there is no
    # table of ours yet. It ends with the connection, whatever way that ends.
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK, timeout=LONGEST)
    try:
        for step in steps[await version_of(connection, newest) :]:
            async with connection.transaction():
                await _run(connection, step)
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
    return newest


async def version_of(connection: Any, known: int) -> int:
    """The number of the last migration this database has had, 0 for none. Refuses more than `known`."""
    version = 0
    if await connection.fetchval(_EXISTS):
        version = int(await connection.fetchval(_VERSION))
    if version > known:
        raise StoreUnavailable(
            f"The database was written by a newer Runwell (schema {version}, this one knows {known})",
            "Upgrade this installation, or restore a backup that was made before the upgrade.",
        )
    return version


async def _run(connection: Any, step: Migration) -> None:
    try:
        await connection.execute(_TABLE)
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
    await connection.execute(_DONE, step.number, step.name)

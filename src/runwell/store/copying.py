"""Moving all that is in one database into an empty one on PostgreSQL: the same tables, by the same numbers.

The target is filled in one transaction, and read back before it is committed: whatever goes wrong, nothing
of it is there. The source is held while it lasts, so that nothing can be written that is left behind.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import asyncpg

from runwell.domain.errors import StoreUnavailable
from runwell.store.batches import Row, Sum, Summing
from runwell.store.postgres.apart import apart
from runwell.store.postgres.export import ROWS_AT_ONCE, DatabaseExport
from runwell.store.postgres.migrations import postgres_migrations
from runwell.store.scripts import Schema, statements
from runwell.store.upgrading import Extra, Place, upgrade

PASSING = frozenset({"pulse", "workers", "leases"})
"""What only says who is at work now: not copied."""

LONGEST = 600.0
"""Seconds that one batch may take."""

_MADE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
_COLUMNS = """SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'
ORDER BY ordinal_position"""
_COUNTED = """SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = $1 AND is_identity = 'YES'"""


class Export(Protocol):
    """All that is in a database, held as it is for as long as this is open."""

    async def schema(self) -> Schema: ...
    async def count(self, table: str) -> int: ...
    def batches(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        """In any order; the values as PostgreSQL keeps them."""
        ...


class Copied(NamedTuple):
    """`checksum`: the sum of the digests of its rows, in hex, the same on both sides."""

    table: str
    rows: int
    checksum: str


Told = Callable[[str, int, int], None]
"""Called with a table, how many of its rows are there, and how many there are to be."""


async def copy(source: Place, target: str, told: Told, extras: Sequence[Extra] = ()) -> list[Copied]:
    """Bring the target's schema up to date, copy, verify, commit; what was copied, table by table.

    `told` is called as it goes on. `extras`: see `upgrade`. Raises `StoreUnavailable`: the source is served
    or has another schema, the target is not empty, or either fails; then nothing has been copied.
    """
    async with _held(source) as export:
        await _refuse_other_schema(export)
        await upgrade(target, extras)
        async with apart(target) as connection:
            await _refuse_rows(connection)
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {', '.join(tables())} IN SHARE ROW EXCLUSIVE MODE")
                # Once more: until now somebody may have written.
                await _refuse_rows(connection)
                copied = [await _copy(export, connection, table, told) for table in tables()]
                await connection.execute(f"ANALYZE {', '.join(tables())}")
            return copied


def tables() -> list[str]:
    """Those that are copied, in the order in which migrations made them."""
    made = [_MADE.match(line) for step in postgres_migrations() for line in statements(step.script)]
    return [found[1] for found in made if found and found[1] not in PASSING]


@asynccontextmanager
async def _held(source: Place) -> AsyncGenerator[Export, None]:
    if isinstance(source, Path):
        from runwell.store.sqlite.export import FileExport

        file = FileExport(source)
        try:
            yield file
        finally:
            file.close()
        return
    async with apart(source) as connection:
        database = DatabaseExport(connection)
        await database.open(tables())
        try:
            yield database
        finally:
            await database.close()


async def _refuse_other_schema(export: Export) -> None:
    schema, known = await export.schema(), postgres_migrations()[-1].number
    if schema.number < known:
        raise StoreUnavailable(
            f"The source has schema {schema.number}, this version has {known}",
            "Bring it up to date first: runwell migrate --db SOURCE.",
        )
    if schema.number > known:
        raise StoreUnavailable(
            f"The source has schema {schema.number}, newer than this version's {known}",
            "Copy it with the version that it was last used with.",
        )


async def _refuse_rows(connection: Any) -> None:
    for table in tables():
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table})"):
            raise StoreUnavailable(
                f"The target is not empty: there are rows in {table}",
                "Copy into a new database, before a server is started on it.",
            )


async def _copy(export: Export, connection: Any, table: str, told: Told) -> Copied:
    columns = [row[0] for row in await connection.fetch(_COLUMNS, table)]
    total, sums = await export.count(table), Summing()
    told(table, 0, total)
    async for batch in export.batches(table, columns):
        for row in batch:
            sums.see(row)
        await _send(connection, table, columns, batch)
        told(table, sums.sum.rows, total)
    there = await _read_back(connection, table, columns)
    if there != sums.sum or there.rows != total:
        raise StoreUnavailable(
            f"{table} is not the same on both sides: {total} rows were to be copied, {there.rows} are there",
            "Nothing was copied. Check the disks of both machines, then try again.",
        )
    for column in [row[0] for row in await connection.fetch(_COUNTED, table)]:
        await _count_on(connection, table, column)
    return Copied(table, total, f"{there.digests:032x}")


async def _send(connection: Any, table: str, columns: Sequence[str], batch: list[Row]) -> None:
    try:
        await connection.copy_records_to_table(table, records=batch, columns=columns, timeout=LONGEST)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise StoreUnavailable(
            f"{table} cannot be copied: PostgreSQL refuses a row ({error})",
            "Nothing was copied. `runwell doctor --db SOURCE` may tell more about that row.",
        ) from error


async def _read_back(connection: Any, table: str, columns: Sequence[str]) -> Sum:
    sums = Summing()
    sql = f"SELECT {', '.join(columns)} FROM {table}"
    async for record in connection.cursor(sql, prefetch=ROWS_AT_ONCE):
        sums.see(tuple(record))
    return sums.sum


async def _count_on(connection: Any, table: str, column: str) -> None:
    """The next row is numbered behind the copied ones. Undone with the transaction, as `setval` is not."""
    newest = await connection.fetchval(f"SELECT coalesce(max({column}), 0) FROM {table}")
    await connection.execute(f"ALTER TABLE {table} ALTER COLUMN {column} RESTART WITH {newest + 1}")

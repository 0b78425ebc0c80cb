"""PgQueuer's tables: made where there are none, and brought up to date where they are an older release's."""

from typing import Any

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver

from runwell.dispatch.pgqueuer.queue import queries_over


async def pending(connection: Any) -> list[str]:
    """The statements that `prepare` would execute; none when there is nothing to do."""
    queries = queries_over(AsyncpgDriver(connection))
    if not await queries.schema_is_installed():
        return [queries.qbe.build_install_query(create_schema=False)]
    return list((await queries.plan_upgrade()).statements)


async def prepare(connection: Any) -> list[str]:
    """Do what is missing, on one connection, outside of a transaction; what was done.

    Any number of processes may do this at once: PgQueuer's own lock lets one work while the others wait,
    and they find nothing to do. If this one dies, the next goes on behind it.
    """
    queries = queries_over(AsyncpgDriver(connection))
    if not await pending(connection):
        return []
    async with queries.schema_lock():
        statements = await pending(connection)
        for statement in statements:
            await connection.execute(statement)
    return statements

"""The store alone, beside servers that may be running: for keys, users and checks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runwell.config import Settings
from runwell.domain.instant import after
from runwell.engine.audit import Finding, audit, damage
from runwell.ports.store import Store
from runwell.wiring.grounds import SystemClock, open_postgres


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Raises `StoreUnavailable`."""
    if settings.postgres is not None:
        postgres = await open_postgres(settings.postgres, settings)
        try:
            yield postgres.store()
        finally:
            await postgres.close()
        return
    from runwell.store.sqlite import Database

    database = Database.open(settings.path, durability=settings.durability, serving=False)
    store = database.store()
    try:
        yield store
    finally:
        await store.close()
        await asyncio.to_thread(database.close)


async def audit_all(settings: Settings) -> AsyncIterator[tuple[str, list[Finding]]]:
    """Every run with what is wrong with its log or its deliveries; beside a running server too."""
    async with open_store(settings) as store:
        async for found in audit(store, after(SystemClock().now(), -settings.keep_deliveries)):
            yield found


async def damaged(settings: Settings) -> list[Finding]:
    """What stands beside the runs and cannot be read."""
    async with open_store(settings) as store:
        return await damage(store)

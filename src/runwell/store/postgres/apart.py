"""A connection for whoever looks after the database: it belongs to no pool, and its work may take long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from runwell.store.postgres.connections import CONNECT_TIMEOUT
from runwell.store.postgres.failures import is_failure, unavailable

SETTINGS = {
    "application_name": "runwell-admin",
    # It reads elsewhere in the middle of a transaction.
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10000",
    "default_transaction_isolation": "read committed",
    "jit": "off",
}


@asynccontextmanager
async def apart(url: str) -> AsyncIterator[Any]:
    """Closed at the end. Raises `StoreUnavailable` for faults of the database and of the way to it."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT, server_settings=SETTINGS)
        try:
            yield connection
        finally:
            await connection.close(timeout=5.0)
    except Exception as error:
        if is_failure(error) or isinstance(error, ValueError):
            raise unavailable(error) from error
        raise

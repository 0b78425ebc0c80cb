"""What can be said of a database from outside: its version, how far it is, how it is set."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from runwell.domain.worker import Heartbeat
from runwell.store.postgres.clock import DatabaseClock
from runwell.store.postgres.connections import Location
from runwell.store.postgres.failures import unavailable
from runwell.store.postgres.pool import Pool

PINGS = 5
SETTINGS = (
    "server_version", "server_version_num", "fsync", "full_page_writes", "synchronous_commit",
    "max_connections", "superuser_reserved_connections",
)  # fmt: skip

_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
_CONNECTIONS = "SELECT sum(numbackends) FROM pg_stat_database"
_WORKERS = "SELECT value FROM workers"
_EXISTS = "SELECT to_regclass('workers') IS NOT NULL"
_DECODE = msgspec.json.Decoder(Heartbeat).decode


class Condition(NamedTuple):
    """`round_trip` is the quickest of a few, in seconds. `ahead` is how far the machine's clock is before
    the database's, in seconds. `settings` are those of `SETTINGS`, as the server writes them.
    `connections` are everybody's. `workers` are the processes that tell of themselves and are alive."""

    round_trip: float
    ahead: float
    settings: Mapping[str, str]
    connections: int
    workers: Sequence[Heartbeat]

    @property
    def version(self) -> str:
        return self.settings["server_version"]

    @property
    def number(self) -> int:
        """For comparing: 160004 is 16.4."""
        return int(self.settings["server_version_num"])

    @property
    def most_connections(self) -> int:
        """How many there may be for those who are no superusers."""
        return int(self.settings["max_connections"]) - int(self.settings["superuser_reserved_connections"])


async def condition(url: str) -> Condition:
    """Raises `StoreUnavailable` when it cannot be reached."""
    pool = Pool(Location(url, connections=1, idle_limit=5.0))
    try:
        await pool.open()
        round_trip = min([await _ping(pool) for _ in range(PINGS)])
        clock = DatabaseClock(pool)
        await clock.measure()
        settings = dict(await pool.all(_SETTINGS, SETTINGS))
        (connections,) = await pool.one(_CONNECTIONS) or (0,)
        workers = [worker for worker in await _workers(pool) if worker.alive(clock.now())]
    except (ValueError, asyncpg.InterfaceError) as error:  # the address itself
        raise unavailable(error) from error
    finally:
        await pool.close()
    return Condition(round_trip, clock.offset / 1_000_000, settings, int(connections), workers)


async def _ping(pool: Pool) -> float:
    began = time.perf_counter()
    await pool.one("SELECT 1")
    return time.perf_counter() - began


async def _workers(pool: Pool) -> list[Heartbeat]:
    (there,) = await pool.one(_EXISTS) or (False,)
    found = [_DECODE(value) for (value,) in await pool.all(_WORKERS)] if there else []
    return sorted(found, key=lambda each: (each.started_at, each.name))

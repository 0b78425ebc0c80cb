"""`ports.workers` on PostgreSQL."""

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.worker import Heartbeat
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool

_BEAT = """INSERT INTO workers (name, seen_at, value) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, value = excluded.value"""
_ALL = "SELECT value FROM workers"
_REMOVE = "DELETE FROM workers WHERE name = $1"
_FORGET = "DELETE FROM workers WHERE seen_at < $1"
# Two that take it at once: one waits for the other's row, and finds it taken.
_TAKE = """INSERT INTO leases (duty, holder, until) VALUES ($1, $2, $4)
ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.holder = excluded.holder OR leases.until <= $3"""
_RELEASE = "DELETE FROM leases WHERE duty = $1 AND holder = $2"
_DECODE = msgspec.json.Decoder(Heartbeat).decode


class PostgresWorkers:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def beat(self, heartbeat: Heartbeat) -> None:
        values = (heartbeat.name, heartbeat.seen_at, msgspec.json.encode(heartbeat))
        await self._desk.write(lambda transaction: transaction.run(_BEAT, *values))

    async def all(self) -> list[Heartbeat]:
        found = [_DECODE(value) for (value,) in await self._pool.all(_ALL)]
        return sorted(found, key=lambda each: (each.started_at, each.name))

    async def remove(self, name: str) -> None:
        await self._desk.write(lambda transaction: transaction.run(_REMOVE, name))

    async def forget(self, before: Instant) -> int:
        return await self._desk.write(lambda transaction: transaction.run(_FORGET, before))


class PostgresLeases:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take(self, duty: str, holder: str, now: Instant, until: Instant) -> bool:
        return (
            await self._desk.write(lambda transaction: transaction.run(_TAKE, duty, holder, now, until)) > 0
        )

    async def release(self, duty: str, holder: str) -> None:
        await self._desk.write(lambda transaction: transaction.run(_RELEASE, duty, holder))

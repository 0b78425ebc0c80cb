"""`ports.workers` on SQLite."""

import msgspec

from runwell.domain.instant import Instant
from runwell.domain.worker import Heartbeat
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_BEAT = """INSERT INTO workers (name, seen_at, value) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, value = excluded.value"""
_ALL = "SELECT value FROM workers"
_REMOVE = "DELETE FROM workers WHERE name = ?"
_FORGET = "DELETE FROM workers WHERE seen_at < ?"
_TAKE = """INSERT INTO leases (duty, holder, until) VALUES (?1, ?2, ?4)
ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.holder = excluded.holder OR leases.until <= ?3"""
_RELEASE = "DELETE FROM leases WHERE duty = ? AND holder = ?"
_DECODE = msgspec.json.Decoder(Heartbeat).decode


class SqliteWorkers:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def beat(self, heartbeat: Heartbeat) -> None:
        values = (heartbeat.name, heartbeat.seen_at, msgspec.json.encode(heartbeat))
        await self._desk.write(Execute(_BEAT, values))

    async def all(self) -> list[Heartbeat]:
        found = [_DECODE(value) for (value,) in self._reader.all(_ALL, ())]
        return sorted(found, key=lambda each: (each.started_at, each.name))

    async def remove(self, name: str) -> None:
        await self._desk.write(Execute(_REMOVE, (name,)))

    async def forget(self, before: Instant) -> int:
        return await self._desk.write(Execute(_FORGET, (before,)))


class SqliteLeases:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take(self, duty: str, holder: str, now: Instant, until: Instant) -> bool:
        return await self._desk.write(Execute(_TAKE, (duty, holder, now, until))) > 0

    async def release(self, duty: str, holder: str) -> None:
        await self._desk.write(Execute(_RELEASE, (duty, holder)))


class Execute(Job[int]):
    """One statement; how many rows it changed."""

    def __init__(self, sql: str, values: tuple[str | int | bytes, ...]) -> None:
        self._sql = sql
        self._values = values

    def run(self, transaction: Transaction) -> int:
        return transaction.run(self._sql, self._values)

"""`ports.schedules.Schedules` on PostgreSQL."""

import msgspec
from msgspec.structs import replace

from runwell.domain.damaged import Damaged
from runwell.domain.errors import ScheduleNotFound
from runwell.domain.instant import Instant
from runwell.domain.schedule import Schedule
from runwell.store.damage import damaged, read
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool

_ADD = "INSERT INTO schedules (id, owner, version, next_at, value) VALUES ($1, $2, $3, $4, $5)"
_GET = "SELECT value FROM schedules WHERE id = $1 AND owner = $2"
_PAGE = "SELECT id, owner, value FROM schedules WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
_COUNT = "SELECT count(*) FROM schedules WHERE owner = $1"
# Two that save at once: one waits for the other's row, and finds another version in it.
_SAVE = """UPDATE schedules SET version = $4, next_at = $5, value = $6
WHERE id = $1 AND owner = $2 AND version = $3"""
_DELETE = "DELETE FROM schedules WHERE id = $1 AND owner = $2"
_DUE = "SELECT id, owner, value FROM schedules WHERE next_at <= $1 ORDER BY next_at LIMIT $2"
_EVERY = "SELECT id, owner, value FROM schedules ORDER BY id"
_FROM_THE_NEWEST = b"\xff" * 17

_SCHEDULE = msgspec.json.Decoder(Schedule).decode
_ENCODE = msgspec.json.Encoder().encode


class PostgresSchedules:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, schedule: Schedule) -> None:
        id, value = bytes.fromhex(schedule.id), _ENCODE(schedule)
        values = (id, schedule.owner, schedule.version, schedule.next_at, value)
        await self._desk.write(lambda transaction: transaction.run(_ADD, *values))

    async def get(self, schedule_id: str, owner: str) -> Schedule:
        row = await self._pool.one(_GET, bytes.fromhex(schedule_id), owner)
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return _SCHEDULE(row[0])

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Schedule | Damaged]:
        start = _FROM_THE_NEWEST if before is None else bytes.fromhex(before)
        return [read("schedule", _SCHEDULE, *row) for row in await self._pool.all(_PAGE, owner, start, limit)]

    async def count(self, owner: str) -> int:
        (count,) = await self._pool.one(_COUNT, owner) or (0,)
        return int(count)

    async def save(self, schedule: Schedule) -> Schedule | None:
        saved = replace(schedule, version=schedule.version + 1)
        id, value = bytes.fromhex(saved.id), _ENCODE(saved)
        values = (id, saved.owner, schedule.version, saved.version, saved.next_at, value)
        return saved if await self._desk.write(lambda transaction: transaction.run(_SAVE, *values)) else None

    async def delete(self, schedule_id: str, owner: str) -> None:
        values = (bytes.fromhex(schedule_id), owner)
        if not await self._desk.write(lambda transaction: transaction.run(_DELETE, *values)):
            raise ScheduleNotFound(schedule_id)

    async def due(
        self, now: Instant, limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[Schedule | Damaged]:
        rows = await self._pool.all(_DUE, now, limit + len(exclude))
        wanted = [row for row in rows if row[0].hex() not in exclude]
        return [read("schedule", _SCHEDULE, *row) for row in wanted[:limit]]

    async def damaged(self) -> list[Damaged]:
        return damaged("schedule", _SCHEDULE, await self._pool.all(_EVERY))

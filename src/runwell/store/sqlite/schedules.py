"""`ports.schedules.Schedules` on SQLite."""

import msgspec
from msgspec.structs import replace

from runwell.domain.damaged import Damaged
from runwell.domain.errors import ScheduleNotFound
from runwell.domain.instant import Instant
from runwell.domain.schedule import Schedule
from runwell.store.damage import damaged, read
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_ADD = "INSERT INTO schedules (id, owner, version, next_at, value) VALUES (?, ?, ?, ?, ?)"
_GET = "SELECT value FROM schedules WHERE id = ? AND owner = ?"
_PAGE = "SELECT id, owner, value FROM schedules WHERE owner = ? AND id < ? ORDER BY id DESC LIMIT ?"
_COUNT = "SELECT count(*) FROM schedules WHERE owner = ?"
_SAVE = """UPDATE schedules SET version = ?, next_at = ?, value = ?
WHERE id = ? AND owner = ? AND version = ?"""
_DELETE = "DELETE FROM schedules WHERE id = ? AND owner = ?"
_DUE = "SELECT id, owner, value FROM schedules WHERE next_at <= ? ORDER BY next_at LIMIT ?"
_EVERY = "SELECT id, owner, value FROM schedules ORDER BY id"
_FROM_THE_NEWEST = b"\xff" * 17

_SCHEDULE = msgspec.json.Decoder(Schedule).decode
_ENCODE = msgspec.json.Encoder().encode


class SqliteSchedules:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, schedule: Schedule) -> None:
        await self._desk.write(AddSchedule(schedule))

    async def get(self, schedule_id: str, owner: str) -> Schedule:
        row = self._reader.one(_GET, (bytes.fromhex(schedule_id), owner))
        if row is None:
            raise ScheduleNotFound(schedule_id)
        return _SCHEDULE(row[0])

    async def page(self, owner: str, *, before: str | None, limit: int) -> list[Schedule | Damaged]:
        start = _FROM_THE_NEWEST if before is None else bytes.fromhex(before)
        return [read("schedule", _SCHEDULE, *row) for row in self._reader.all(_PAGE, (owner, start, limit))]

    async def count(self, owner: str) -> int:
        (count,) = self._reader.one(_COUNT, (owner,)) or (0,)
        return int(count)

    async def save(self, schedule: Schedule) -> Schedule | None:
        saved = replace(schedule, version=schedule.version + 1)
        return saved if await self._desk.write(SaveSchedule(saved)) else None

    async def delete(self, schedule_id: str, owner: str) -> None:
        await self._desk.write(DeleteSchedule(schedule_id, owner))

    async def due(
        self, now: Instant, limit: int, exclude: frozenset[str] = frozenset()
    ) -> list[Schedule | Damaged]:
        rows = self._reader.all(_DUE, (now, limit + len(exclude)))
        wanted = [row for row in rows if row[0].hex() not in exclude]
        return [read("schedule", _SCHEDULE, *row) for row in wanted[:limit]]

    async def damaged(self) -> list[Damaged]:
        return damaged("schedule", _SCHEDULE, self._reader.all(_EVERY, ()))


class AddSchedule(Job[None]):
    def __init__(self, schedule: Schedule) -> None:
        id, value = bytes.fromhex(schedule.id), _ENCODE(schedule)
        self._values = (id, schedule.owner, schedule.version, schedule.next_at, value)
        self.size = 256 + len(value)

    def run(self, transaction: Transaction) -> None:
        transaction.run(_ADD, self._values)


class SaveSchedule(Job[bool]):
    """`saved` has its new version; the row must have the one before it."""

    def __init__(self, saved: Schedule) -> None:
        id, value = bytes.fromhex(saved.id), _ENCODE(saved)
        self._values = (saved.version, saved.next_at, value, id, saved.owner, saved.version - 1)
        self.size = 256 + len(value)

    def run(self, transaction: Transaction) -> bool:
        return transaction.run(_SAVE, self._values) > 0


class DeleteSchedule(Job[None]):
    def __init__(self, schedule_id: str, owner: str) -> None:
        self._id = schedule_id
        self._owner = owner

    def run(self, transaction: Transaction) -> None:
        if not transaction.run(_DELETE, (bytes.fromhex(self._id), self._owner)):
            raise ScheduleNotFound(self._id)

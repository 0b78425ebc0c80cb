"""`ports.outbox.Triggers` on PostgreSQL."""

import msgspec

from runwell.domain.errors import TriggerNotFound
from runwell.domain.trigger import Trigger
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool

_ADD = "INSERT INTO triggers (id, owner, digest, value) VALUES ($1, $2, $3, $4)"
_BY_DIGEST = "SELECT value FROM triggers WHERE digest = $1"
_GET = "SELECT value FROM triggers WHERE id = $1 AND owner = $2"
_ALL = "SELECT value FROM triggers WHERE owner = $1 ORDER BY id DESC"
_UPDATE = "UPDATE triggers SET value = $3 WHERE id = $1 AND owner = $2"
_DELETE = "DELETE FROM triggers WHERE id = $1 AND owner = $2"

_TRIGGER = msgspec.json.Decoder(Trigger).decode
_ENCODE = msgspec.json.Encoder().encode


class PostgresTriggers:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, trigger: Trigger) -> None:
        values = (bytes.fromhex(trigger.id), trigger.owner, trigger.digest, _ENCODE(trigger))
        await self._desk.write(lambda transaction: transaction.run(_ADD, *values))

    async def by_digest(self, digest: bytes) -> Trigger | None:
        row = await self._pool.one(_BY_DIGEST, digest)
        return None if row is None else _TRIGGER(row[0])

    async def get(self, trigger_id: str, owner: str) -> Trigger:
        row = await self._pool.one(_GET, bytes.fromhex(trigger_id), owner)
        if row is None:
            raise TriggerNotFound(trigger_id)
        return _TRIGGER(row[0])

    async def all(self, owner: str) -> list[Trigger]:
        return [_TRIGGER(value) for (value,) in await self._pool.all(_ALL, owner)]

    async def update(self, trigger: Trigger) -> None:
        values = (bytes.fromhex(trigger.id), trigger.owner, _ENCODE(trigger))
        if not await self._desk.write(lambda transaction: transaction.run(_UPDATE, *values)):
            raise TriggerNotFound(trigger.id)

    async def delete(self, trigger_id: str, owner: str) -> None:
        values = (bytes.fromhex(trigger_id), owner)
        if not await self._desk.write(lambda transaction: transaction.run(_DELETE, *values)):
            raise TriggerNotFound(trigger_id)

"""`ports.outbox.Triggers` on PostgreSQL."""

from collections.abc import Callable

import msgspec

from runwell.domain.damaged import Damaged
from runwell.domain.errors import TriggerNotFound
from runwell.domain.trigger import Trigger
from runwell.store.damage import damaged, readable
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool, Transaction

_ADD = "INSERT INTO triggers (id, owner, digest, value) VALUES ($1, $2, $3, $4)"
_BY_DIGEST = "SELECT value FROM triggers WHERE digest = $1"
_GET = "SELECT value FROM triggers WHERE id = $1 AND owner = $2"
_ALL = "SELECT value FROM triggers WHERE owner = $1 ORDER BY id DESC"
_EVERY = "SELECT id, owner, value FROM triggers ORDER BY id"
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
        values = [value for (value,) in await self._pool.all(_ALL, owner)]
        return list(readable(_TRIGGER, values, f"a trigger of {owner} cannot be read and is not listed"))

    async def damaged(self) -> list[Damaged]:
        return damaged("trigger", _TRIGGER, await self._pool.all(_EVERY))

    async def update(self, trigger_id: str, owner: str, change: Callable[[Trigger], Trigger]) -> Trigger:
        async def work(transaction: Transaction) -> Trigger:
            which = (bytes.fromhex(trigger_id), owner)
            row = await transaction.one(f"{_GET} FOR NO KEY UPDATE", *which)
            if row is None:
                raise TriggerNotFound(trigger_id)
            changed = change(_TRIGGER(row[0]))
            await transaction.run(_UPDATE, *which, _ENCODE(changed))
            return changed

        return await self._desk.write(work)

    async def delete(self, trigger_id: str, owner: str) -> None:
        values = (bytes.fromhex(trigger_id), owner)
        if not await self._desk.write(lambda transaction: transaction.run(_DELETE, *values)):
            raise TriggerNotFound(trigger_id)

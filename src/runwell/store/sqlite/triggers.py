"""`ports.outbox.Triggers` on SQLite."""

from collections.abc import Callable

import msgspec

from runwell.domain.damaged import Damaged
from runwell.domain.errors import TriggerNotFound
from runwell.domain.trigger import Trigger
from runwell.store.damage import damaged, readable
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_ADD = "INSERT INTO triggers (id, owner, digest, value) VALUES (?, ?, ?, ?)"
_BY_DIGEST = "SELECT value FROM triggers WHERE digest = ?"
_GET = "SELECT value FROM triggers WHERE id = ? AND owner = ?"
_ALL = "SELECT value FROM triggers WHERE owner = ? ORDER BY id DESC"
_EVERY = "SELECT id, owner, value FROM triggers ORDER BY id"
_UPDATE = "UPDATE triggers SET value = ? WHERE id = ? AND owner = ?"
_DELETE = "DELETE FROM triggers WHERE id = ? AND owner = ?"

_TRIGGER = msgspec.json.Decoder(Trigger).decode
_ENCODE = msgspec.json.Encoder().encode


class SqliteTriggers:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, trigger: Trigger) -> None:
        await self._desk.write(AddTrigger(trigger))

    async def by_digest(self, digest: bytes) -> Trigger | None:
        row = self._reader.one(_BY_DIGEST, (digest,))
        return None if row is None else _TRIGGER(row[0])

    async def get(self, trigger_id: str, owner: str) -> Trigger:
        row = self._reader.one(_GET, (bytes.fromhex(trigger_id), owner))
        if row is None:
            raise TriggerNotFound(trigger_id)
        return _TRIGGER(row[0])

    async def all(self, owner: str) -> list[Trigger]:
        values = (value for (value,) in self._reader.all(_ALL, (owner,)))
        return list(readable(_TRIGGER, values, f"a trigger of {owner} cannot be read and is not listed"))

    async def damaged(self) -> list[Damaged]:
        return damaged("trigger", _TRIGGER, self._reader.all(_EVERY))

    async def update(self, trigger_id: str, owner: str, change: Callable[[Trigger], Trigger]) -> Trigger:
        return await self._desk.write(UpdateTrigger(trigger_id, owner, change))

    async def delete(self, trigger_id: str, owner: str) -> None:
        await self._desk.write(DeleteTrigger(trigger_id, owner))


class AddTrigger(Job[None]):
    def __init__(self, trigger: Trigger) -> None:
        self._values = (bytes.fromhex(trigger.id), trigger.owner, trigger.digest, _ENCODE(trigger))

    def run(self, transaction: Transaction) -> None:
        transaction.run(_ADD, self._values)


class UpdateTrigger(Job[Trigger]):
    def __init__(self, trigger_id: str, owner: str, change: Callable[[Trigger], Trigger]) -> None:
        self._id = trigger_id
        self._owner = owner
        self._change = change

    def run(self, transaction: Transaction) -> Trigger:
        which = (bytes.fromhex(self._id), self._owner)
        row = transaction.one(_GET, which)
        if row is None:
            raise TriggerNotFound(self._id)
        changed = self._change(_TRIGGER(row[0]))
        transaction.run(_UPDATE, (_ENCODE(changed), *which))
        return changed


class DeleteTrigger(Job[None]):
    def __init__(self, trigger_id: str, owner: str) -> None:
        self._id = trigger_id
        self._owner = owner

    def run(self, transaction: Transaction) -> None:
        if not transaction.run(_DELETE, (bytes.fromhex(self._id), self._owner)):
            raise TriggerNotFound(self._id)

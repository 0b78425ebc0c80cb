"""`ports.outbox.Callbacks` on SQLite: standing callbacks, and the secrets deliveries are signed with."""

from collections.abc import Callable

from msgspec import json

from runwell.domain.callback import SigningSecret, StandingCallback
from runwell.domain.damaged import Damaged
from runwell.domain.errors import CallbackNotFound
from runwell.domain.instant import Instant
from runwell.store.damage import damaged, readable
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import Row
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_ADD = "INSERT INTO callbacks (id, owner, paused, value) VALUES (?, ?, ?, ?)"
_GET = "SELECT value FROM callbacks WHERE id = ? AND owner = ?"
_ALL = "SELECT value FROM callbacks WHERE owner = ? ORDER BY id DESC"
_EVERY = "SELECT id, owner, value FROM callbacks ORDER BY id"
_UPDATE = "UPDATE callbacks SET paused = ?, value = ? WHERE id = ? AND owner = ?"
_DELETE = "DELETE FROM callbacks WHERE id = ? AND owner = ?"

_SECRET_FIELDS = "id, owner, callback_id, secret, created_at, expires_at"
_SECRETS = f"""SELECT {_SECRET_FIELDS} FROM signing_secrets
WHERE owner = ? AND callback_id = ? AND (expires_at IS NULL OR expires_at > ?) ORDER BY id DESC"""
_LASTING = f"""SELECT {_SECRET_FIELDS} FROM signing_secrets
WHERE owner = ? AND callback_id = ? AND expires_at IS NULL ORDER BY id DESC LIMIT 1"""
_ADD_SECRET = f"INSERT INTO signing_secrets ({_SECRET_FIELDS}) VALUES (?, ?, ?, ?, ?, ?)"
# What was already on its way out when the newest came is over now: two are valid at most.
_DROP_OLDER = "DELETE FROM signing_secrets WHERE owner = ? AND callback_id = ? AND expires_at IS NOT NULL"
_EXPIRE = "UPDATE signing_secrets SET expires_at = ? WHERE owner = ? AND callback_id = ?"
_DROP_SECRETS = "DELETE FROM signing_secrets WHERE owner = ? AND callback_id = ?"

_CALLBACK = json.Decoder(StandingCallback).decode

Change = Callable[[StandingCallback], StandingCallback]


def _secret_of(row: Row) -> SigningSecret:
    id, owner, callback_id, secret, created_at, expires_at = row
    return SigningSecret(
        id=id.hex(), owner=owner, callback_id=callback_id.hex() or None, secret=secret,
        created_at=created_at, expires_at=expires_at,
    )  # fmt: skip


def _secret_values(secret: SigningSecret) -> Row:
    return (
        bytes.fromhex(secret.id), secret.owner, bytes.fromhex(secret.callback_id or ""), secret.secret,
        secret.created_at, secret.expires_at,
    )  # fmt: skip


class SqliteCallbacks:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, callback: StandingCallback, secret: SigningSecret) -> None:
        await self._desk.write(AddCallback(callback, secret))

    async def get(self, callback_id: str, owner: str) -> StandingCallback:
        row = self._reader.one(_GET, (bytes.fromhex(callback_id), owner))
        if row is None:
            raise CallbackNotFound(callback_id)
        return _CALLBACK(row[0])

    async def all(self, owner: str) -> list[StandingCallback]:
        values = (value for (value,) in self._reader.all(_ALL, (owner,)))
        return list(readable(_CALLBACK, values, f"a callback of {owner} cannot be read and is not listed"))

    async def damaged(self) -> list[Damaged]:
        return damaged("callback", _CALLBACK, self._reader.all(_EVERY))

    async def update(self, callback_id: str, owner: str, change: Change) -> StandingCallback:
        return await self._desk.write(UpdateCallback(callback_id, owner, change))

    async def delete(self, callback_id: str, owner: str) -> None:
        await self._desk.write(DeleteCallback(callback_id, owner))

    async def secrets(self, owner: str, callback_id: str | None, now: Instant) -> list[SigningSecret]:
        rows = self._reader.all(_SECRETS, (owner, bytes.fromhex(callback_id or ""), now))
        return [_secret_of(row) for row in rows]

    async def rotate(self, secret: SigningSecret, old_until: Instant) -> None:
        await self._desk.write(RotateSecret(secret, old_until))

    async def first_secret(self, secret: SigningSecret) -> SigningSecret:
        return await self._desk.write(FirstSecret(secret))


class AddCallback(Job[None]):
    def __init__(self, callback: StandingCallback, secret: SigningSecret) -> None:
        value = json.encode(callback)
        self._values = (bytes.fromhex(callback.id), callback.owner, int(callback.paused), value)
        self._secret = _secret_values(secret)

    def run(self, transaction: Transaction) -> None:
        transaction.run(_ADD, self._values)
        transaction.run(_ADD_SECRET, self._secret)
        transaction.standing.clear()


class UpdateCallback(Job[StandingCallback]):
    def __init__(self, callback_id: str, owner: str, change: Change) -> None:
        self._id = callback_id
        self._owner = owner
        self._change = change

    def run(self, transaction: Transaction) -> StandingCallback:
        which = (bytes.fromhex(self._id), self._owner)
        row = transaction.one(_GET, which)
        if row is None:
            raise CallbackNotFound(self._id)
        changed = self._change(_CALLBACK(row[0]))
        transaction.run(_UPDATE, (int(changed.paused), json.encode(changed), *which))
        transaction.standing.clear()
        return changed


class DeleteCallback(Job[None]):
    def __init__(self, callback_id: str, owner: str) -> None:
        self._id = callback_id
        self._owner = owner

    def run(self, transaction: Transaction) -> None:
        id = bytes.fromhex(self._id)
        if not transaction.run(_DELETE, (id, self._owner)):
            raise CallbackNotFound(self._id)
        transaction.run(_DROP_SECRETS, (self._owner, id))
        transaction.standing.clear()


class RotateSecret(Job[None]):
    def __init__(self, secret: SigningSecret, old_until: Instant) -> None:
        self._values = _secret_values(secret)
        self._holder = (secret.owner, bytes.fromhex(secret.callback_id or ""))
        self._old_until = old_until

    def run(self, transaction: Transaction) -> None:
        owner, callback_id = self._holder
        if callback_id and transaction.one(_GET, (callback_id, owner)) is None:
            # It was deleted meanwhile; with a secret its deliveries would be posted all the same.
            raise CallbackNotFound(callback_id.hex())
        transaction.run(_DROP_OLDER, self._holder)
        transaction.run(_EXPIRE, (self._old_until, *self._holder))
        transaction.run(_ADD_SECRET, self._values)


class FirstSecret(Job[SigningSecret]):
    def __init__(self, secret: SigningSecret) -> None:
        self._secret = secret

    def run(self, transaction: Transaction) -> SigningSecret:
        wanted = self._secret
        row = transaction.one(_LASTING, (wanted.owner, bytes.fromhex(wanted.callback_id or "")))
        if row is not None:
            return _secret_of(row)
        transaction.run(_ADD_SECRET, _secret_values(wanted))
        return wanted

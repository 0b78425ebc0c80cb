"""`ports.outbox.Callbacks` on PostgreSQL: standing callbacks, and the secrets deliveries are signed with."""

from collections.abc import Callable
from typing import Any

from msgspec import json

from runwell.domain.callback import SigningSecret, StandingCallback
from runwell.domain.damaged import Damaged
from runwell.domain.errors import CallbackNotFound
from runwell.domain.instant import Instant
from runwell.store.damage import damaged, readable
from runwell.store.postgres.desk import Desk
from runwell.store.postgres.pool import Pool, Transaction
from runwell.store.postgres.rows import Row

_ADD = "INSERT INTO callbacks (id, owner, paused, value) VALUES ($1, $2, $3, $4)"
_GET = "SELECT value FROM callbacks WHERE id = $1 AND owner = $2"
_ALL = "SELECT value FROM callbacks WHERE owner = $1 ORDER BY id DESC"
_EVERY = "SELECT id, owner, value FROM callbacks ORDER BY id"
_UPDATE = "UPDATE callbacks SET paused = $3, value = $4 WHERE id = $1 AND owner = $2"
_DELETE = "DELETE FROM callbacks WHERE id = $1 AND owner = $2"

_SECRET_FIELDS = "id, owner, callback_id, secret, created_at, expires_at"
_SECRETS = f"""SELECT {_SECRET_FIELDS} FROM signing_secrets
WHERE owner = $1 AND callback_id = $2 AND (expires_at IS NULL OR expires_at > $3) ORDER BY id DESC"""
_LASTING = f"""SELECT {_SECRET_FIELDS} FROM signing_secrets
WHERE owner = $1 AND callback_id = $2 AND expires_at IS NULL ORDER BY id DESC LIMIT 1"""
_ADD_SECRET = f"INSERT INTO signing_secrets ({_SECRET_FIELDS}) VALUES ($1, $2, $3, $4, $5, $6)"
# What was already on its way out when the newest came is over now: two are valid at most.
_DROP_OLDER = "DELETE FROM signing_secrets WHERE owner = $1 AND callback_id = $2 AND expires_at IS NOT NULL"
_EXPIRE = "UPDATE signing_secrets SET expires_at = $3 WHERE owner = $1 AND callback_id = $2"
_DROP_SECRETS = "DELETE FROM signing_secrets WHERE owner = $1 AND callback_id = $2"
# Secrets of one holder are changed by one transaction after the other: there may be no row to lock yet.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1 || encode($2, 'hex'), 20511))"

_CALLBACK = json.Decoder(StandingCallback).decode

Change = Callable[[StandingCallback], StandingCallback]


def _secret_of(row: Row) -> SigningSecret:
    id, owner, callback_id, secret, created_at, expires_at = row
    return SigningSecret(
        id=id.hex(), owner=owner, callback_id=callback_id.hex() or None, secret=secret,
        created_at=created_at, expires_at=expires_at,
    )  # fmt: skip


def _secret_values(secret: SigningSecret) -> tuple[Any, ...]:
    return (
        bytes.fromhex(secret.id), *_holder(secret.owner, secret.callback_id), secret.secret,
        secret.created_at, secret.expires_at,
    )  # fmt: skip


async def _keep(transaction: Transaction, callback_id: str, owner: str) -> None:
    """Keep the callback from being deleted until the commit: with a secret that came after that, its
    deliveries would be posted all the same. Raises `CallbackNotFound`."""
    if await transaction.one(f"{_GET} FOR SHARE", bytes.fromhex(callback_id), owner) is None:
        raise CallbackNotFound(callback_id)


def _holder(owner: str, callback_id: str | None) -> tuple[str, bytes]:
    return owner, bytes.fromhex(callback_id or "")


class PostgresCallbacks:
    def __init__(self, pool: Pool, desk: Desk) -> None:
        self._pool = pool
        self._desk = desk

    async def add(self, callback: StandingCallback, secret: SigningSecret) -> None:
        async def work(transaction: Transaction) -> None:
            id, value = bytes.fromhex(callback.id), json.encode(callback)
            await transaction.run(_ADD, id, callback.owner, int(callback.paused), value)
            await transaction.run(_ADD_SECRET, *_secret_values(secret))

        await self._desk.write(work)

    async def get(self, callback_id: str, owner: str) -> StandingCallback:
        row = await self._pool.one(_GET, bytes.fromhex(callback_id), owner)
        if row is None:
            raise CallbackNotFound(callback_id)
        return _CALLBACK(row[0])

    async def all(self, owner: str) -> list[StandingCallback]:
        values = [value for (value,) in await self._pool.all(_ALL, owner)]
        return list(readable(_CALLBACK, values, f"a callback of {owner} cannot be read and is not listed"))

    async def damaged(self) -> list[Damaged]:
        return damaged("callback", _CALLBACK, await self._pool.all(_EVERY))

    async def update(self, callback_id: str, owner: str, change: Change) -> StandingCallback:
        async def work(transaction: Transaction) -> StandingCallback:
            which = (bytes.fromhex(callback_id), owner)
            row = await transaction.one(f"{_GET} FOR NO KEY UPDATE", *which)
            if row is None:
                raise CallbackNotFound(callback_id)
            changed = change(_CALLBACK(row[0]))
            await transaction.run(_UPDATE, *which, int(changed.paused), json.encode(changed))
            return changed

        return await self._desk.write(work)

    async def delete(self, callback_id: str, owner: str) -> None:
        async def work(transaction: Transaction) -> None:
            id = bytes.fromhex(callback_id)
            if not await transaction.run(_DELETE, id, owner):
                raise CallbackNotFound(callback_id)
            await transaction.run(_DROP_SECRETS, owner, id)

        await self._desk.write(work)

    async def secrets(self, owner: str, callback_id: str | None, now: Instant) -> list[SigningSecret]:
        rows = await self._pool.all(_SECRETS, *_holder(owner, callback_id), now)
        return [_secret_of(row) for row in rows]

    async def rotate(self, secret: SigningSecret, old_until: Instant) -> None:
        async def work(transaction: Transaction) -> None:
            holder = _holder(secret.owner, secret.callback_id)
            await transaction.one(_LOCK, *holder)
            if secret.callback_id is not None:
                await _keep(transaction, secret.callback_id, secret.owner)
            await transaction.run(_DROP_OLDER, *holder)
            await transaction.run(_EXPIRE, *holder, old_until)
            await transaction.run(_ADD_SECRET, *_secret_values(secret))

        await self._desk.write(work)

    async def first_secret(self, secret: SigningSecret) -> SigningSecret:
        async def work(transaction: Transaction) -> SigningSecret:
            holder = _holder(secret.owner, secret.callback_id)
            await transaction.one(_LOCK, *holder)
            row = await transaction.one(_LASTING, *holder)
            if row is not None:
                return _secret_of(row)
            await transaction.run(_ADD_SECRET, *_secret_values(secret))
            return secret

        return await self._desk.write(work)

"""`ports.store.Keys` on SQLite."""

from runwell.domain.errors import KeyNotFound
from runwell.domain.instant import Instant
from runwell.domain.principal import Key
from runwell.store.sqlite.reader import Reader
from runwell.store.sqlite.rows import KEY_FIELDS, key_of
from runwell.store.sqlite.transaction import Job, Transaction
from runwell.store.sqlite.writer import Desk

_INSERT = f"INSERT INTO keys ({KEY_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_BY_DIGEST = f"SELECT {KEY_FIELDS} FROM keys WHERE digest = ?"
_ALL = f"SELECT {KEY_FIELDS} FROM keys WHERE ?1 IS NULL OR owner = ?1 ORDER BY id DESC"
_REVOKE = f"""UPDATE keys SET revoked_at = coalesce(revoked_at, ?1)
WHERE id = ?2 AND (?3 IS NULL OR owner = ?3) RETURNING {KEY_FIELDS}"""
_ANY = "SELECT 1 FROM keys WHERE revoked_at IS NULL LIMIT 1"


class SqliteKeys:
    def __init__(self, reader: Reader, desk: Desk) -> None:
        self._reader = reader
        self._desk = desk

    async def add(self, key: Key) -> None:
        await self._desk.write(AddKey(key))

    async def by_digest(self, digest: bytes) -> Key | None:
        row = self._reader.one(_BY_DIGEST, (digest,))
        return None if row is None else key_of(row)

    async def all(self, owner: str | None) -> list[Key]:
        return [key_of(row) for row in self._reader.all(_ALL, (owner,))]

    async def revoke(self, key_id: str, owner: str | None, now: Instant) -> Key:
        return await self._desk.write(RevokeKey(key_id, owner, now))

    async def any(self) -> bool:
        return self._reader.one(_ANY) is not None


class AddKey(Job[None]):
    def __init__(self, key: Key) -> None:
        scopes = " ".join(sorted(scope.value for scope in key.scopes))
        self._values = (
            bytes.fromhex(key.id), key.owner, key.name, key.prefix, key.digest, scopes,
            key.created_at, key.revoked_at,
        )  # fmt: skip

    def run(self, transaction: Transaction) -> None:
        transaction.run(_INSERT, self._values)


class RevokeKey(Job[Key]):
    def __init__(self, key_id: str, owner: str | None, now: Instant) -> None:
        self._key_id = key_id
        self._values = (now, bytes.fromhex(key_id), owner)

    def run(self, transaction: Transaction) -> Key:
        row = transaction.one(_REVOKE, self._values)
        if row is None:
            raise KeyNotFound(self._key_id)
        return key_of(row)
